package org.pretrain4j.data.tokens;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.FlakyFileSystem;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.ArithmeticInput;
import org.pretrain4j.data.text.DocumentInput;

class ManifestMergeTest {
  @TempDir Path folder;

  private static List<DocumentInput> inputs() {
    List<DocumentInput> inputs = new ArrayList<>();
    for (int i = 0; i < 7; i++) {
      inputs.add(new ArithmeticInput(20 + i, i));
    }
    return inputs;
  }

  private Manifest run(Tokenizer tokenizer, int worker, int workers) {
    return run(tokenizer, inputs(), worker, workers);
  }

  private Manifest run(Tokenizer tokenizer, List<DocumentInput> inputs, int worker, int workers) {
    return new TokenizeJob(
            Fixtures.STORAGE,
            tokenizer,
            inputs,
            Fixtures.hadoop(folder),
            TokenizeOptions.defaults().withWorker(worker, workers),
            PreparationListener.NONE)
        .run();
  }

  @Test
  void theWorkersShareTheInputsWithoutOverlap() {
    org.apache.hadoop.fs.Path path = Fixtures.hadoop(folder);
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      assertThrows(UserException.class, () -> ManifestMerge.merge(Fixtures.STORAGE, path));
      run(tokenizer, 2, 3);
      run(tokenizer, 0, 3);
      UserException missing =
          assertThrows(UserException.class, () -> ManifestMerge.merge(Fixtures.STORAGE, path));
      assertTrue(missing.getMessage().contains("worker 1/3"), missing.getMessage());
      run(tokenizer, 1, 3);
      Manifest merged = ManifestMerge.merge(Fixtures.STORAGE, path);
      assertEquals(7 * 20 + 21, merged.documents());
      assertEquals(3, merged.shards().size());
      ShardedDataset.open(Fixtures.STORAGE, path, tokenizer.identity(), new BlockCache(1 << 20))
          .verify();
      assertThrows(UserException.class, () -> run(tokenizer, 7, 8));
      run(tokenizer, 0, 2);
      assertThrows(UserException.class, () -> ManifestMerge.merge(Fixtures.STORAGE, path));
    }
  }

  private String refusal() {
    org.apache.hadoop.fs.Path path = Fixtures.hadoop(folder);
    return assertThrows(UserException.class, () -> ManifestMerge.merge(Fixtures.STORAGE, path))
        .getMessage();
  }

  @Test
  void workersThatSawOtherInputsDoNotFitTogether() throws Exception {
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      run(tokenizer, 0, 2);
      run(tokenizer, inputs().subList(0, 6), 1, 2);
      assertTrue(refusal().contains("worker 1 found other inputs"), refusal());
    }
  }

  @Test
  void aLostShardAndAForeignManifestAreRefused() throws Exception {
    org.apache.hadoop.fs.Path path = Fixtures.hadoop(folder);
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      run(tokenizer, 0, 2);
      Manifest second = run(tokenizer, 1, 2);
      Manifest merged = ManifestMerge.merge(Fixtures.STORAGE, path);
      assertEquals(merged, ManifestMerge.merge(Fixtures.STORAGE, path));
      Path shard = folder.resolve(second.shards().getFirst().name());
      Files.move(shard, folder.resolve("away"));
      assertTrue(refusal().contains("is missing, but worker 1"), refusal());
      Files.move(folder.resolve("away"), shard);
      ManifestFile.write(
          Fixtures.STORAGE, new org.apache.hadoop.fs.Path(path, Manifest.FILE), second);
      assertTrue(refusal().contains("another dataset"), refusal());
    }
  }

  @Test
  void aJournalThatCannotBeReadNowIsKept() throws Exception {
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      run(tokenizer, 0, 1);
    }
    org.apache.hadoop.fs.Path path = new org.apache.hadoop.fs.Path("flaky://" + folder);
    Storage storage = FlakyFileSystem.storage();
    String job =
        JobJournal.recordedJob(storage, new org.apache.hadoop.fs.Path(path, "tokenize.json"));
    FlakyFileSystem.failure = () -> new EOFException("connection reset");
    FlakyFileSystem.FAILURES.set(1);
    assertThrows(
        IOException.class,
        () -> JobJournal.read(storage, path, "tokenize.json", job, PreparationListener.NONE));
    assertEquals(0, FlakyFileSystem.FAILURES.get());
    assertEquals(
        1,
        JobJournal.read(storage, path, "tokenize.json", job, PreparationListener.NONE)
            .shards()
            .size());
  }
}
