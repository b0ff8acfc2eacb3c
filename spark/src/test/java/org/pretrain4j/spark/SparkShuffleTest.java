package org.pretrain4j.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.shards.ShardWriter;
import org.pretrain4j.data.shards.TokenizerIdentity;
import org.pretrain4j.data.shuffle.ShuffleJob;
import org.pretrain4j.data.shuffle.ShuffleOptions;
import org.pretrain4j.data.tokens.JobJournal;
import org.pretrain4j.data.tokens.PreparationListener;

class SparkShuffleTest {
  private static final ShuffleOptions OPTIONS = new ShuffleOptions(31, 12, 4000);
  private static final TokenizerIdentity TOKENIZER =
      new TokenizerIdentity("sha256:" + "0".repeat(64), 100_000, 99_999);

  @TempDir Path folder;

  @BeforeEach
  void source() throws IOException {
    Random random = new Random(8);
    List<ShardEntry> entries = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      var path = LocalSpark.hadoop(folder.resolve("source/shard-" + i + ".arrow"));
      try (ShardWriter writer = new ShardWriter(LocalSpark.STORAGE, path, TOKENIZER, 512)) {
        for (int document = 0; document < 150; document++) {
          int[] tokens = random.ints(1 + random.nextInt(90), 0, 99_999).toArray();
          tokens[tokens.length - 1] = TOKENIZER.endOfDocument();
          writer.add(tokens);
        }
        entries.add(writer.finish());
      }
    }
    ManifestFile.write(
        LocalSpark.STORAGE,
        LocalSpark.hadoop(folder.resolve("source/manifest.json")),
        new Manifest(TOKENIZER, entries));
  }

  private ShuffleJob job(String target, ShuffleOptions options) {
    return new ShuffleJob(
        LocalSpark.STORAGE,
        LocalSpark.hadoop(folder.resolve("source")),
        LocalSpark.hadoop(folder.resolve(target)),
        options,
        PreparationListener.NONE);
  }

  private Manifest shuffleOnSpark(String target, ShuffleOptions options) {
    return job(target, options)
        .run(new SparkShuffle(LocalSpark.SPARK, LocalSpark.hadoop(folder.resolve(target))));
  }

  @Test
  void everyFileIsThatOfTheLocalShuffle() throws Exception {
    job("local", OPTIONS).run();
    Manifest manifest = shuffleOnSpark("spark", OPTIONS);
    assertTrue(manifest.shards().size() > 8);
    assertEquals(
        LocalSpark.contents(folder.resolve("local")), LocalSpark.contents(folder.resolve("spark")));
    assertNotEquals(manifest, shuffleOnSpark("other", new ShuffleOptions(31, 13, 4000)));
  }

  @Test
  void aFinishedShuffleIsNotRepeatedAndAnotherIsRefused() throws Exception {
    Manifest first = shuffleOnSpark("spark", OPTIONS);
    Path shard = folder.resolve("spark").resolve(first.shards().getFirst().name());
    var modified = Files.getLastModifiedTime(shard);
    assertEquals(first, shuffleOnSpark("spark", OPTIONS));
    assertEquals(first, job("spark", OPTIONS).run());
    assertEquals(modified, Files.getLastModifiedTime(shard));
    assertThrows(
        UserException.class, () -> shuffleOnSpark("spark", new ShuffleOptions(31, 1, 4000)));
  }

  @Test
  void aShuffleThatBeganLocallyIsFinished() throws Exception {
    job("local", OPTIONS).run();
    job("spark", OPTIONS).run();
    var target = LocalSpark.hadoop(folder.resolve("spark"));
    JobJournal all =
        JobJournal.read(
            LocalSpark.STORAGE,
            target,
            ShuffleJob.JOURNAL,
            JobJournal.recordedJob(
                LocalSpark.STORAGE, LocalSpark.hadoop(folder.resolve("spark/shuffle.json"))),
            PreparationListener.NONE);
    new JobJournal(all.job(), all.shards().subList(0, 3), 3, 0)
        .write(LocalSpark.STORAGE, target, ShuffleJob.JOURNAL);
    for (ShardEntry shard : all.shards().subList(3, all.shards().size())) {
      Files.delete(folder.resolve("spark").resolve(shard.name()));
    }
    Files.delete(folder.resolve("spark/manifest.json"));
    shuffleOnSpark("spark", OPTIONS);
    assertEquals(
        LocalSpark.contents(folder.resolve("local")), LocalSpark.contents(folder.resolve("spark")));
  }

  @Test
  void aDamagedShardIsNamedAndNothingIsPublished() throws Exception {
    Path shard = folder.resolve("source/shard-4.arrow");
    byte[] bytes = Files.readAllBytes(shard);
    bytes[bytes.length / 2] ^= 4;
    Files.write(shard, bytes);
    UserException e = assertThrows(UserException.class, () -> shuffleOnSpark("spark", OPTIONS));
    assertTrue(e.getMessage().contains("shard-4.arrow"), e.getMessage());
    assertFalse(Files.exists(folder.resolve("spark/manifest.json")));
    assertFalse(Files.exists(folder.resolve("spark/shuffle.json")));
    bytes[bytes.length / 2] ^= 4;
    Files.write(shard, bytes);
    shuffleOnSpark("spark", OPTIONS);
    job("local", OPTIONS).run();
    assertEquals(
        LocalSpark.contents(folder.resolve("local")), LocalSpark.contents(folder.resolve("spark")));
  }
}
