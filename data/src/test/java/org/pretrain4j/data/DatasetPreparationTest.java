package org.pretrain4j.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.Tokenizer;

class DatasetPreparationTest {
  @TempDir Path folder;

  private final List<String> warnings = new ArrayList<>();

  private ShardedDataset prepare(String name, DatasetConfig config) {
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      PreparationListener listener =
          new PreparationListener() {
            @Override
            public void warning(String message) {
              warnings.add(message);
            }
          };
      return new DatasetPreparation(Fixtures.STORAGE, tokenizer, new BlockCache(1 << 20), listener)
          .prepare(name, config, 6, Fixtures.hadoop(folder.resolve("data")));
    }
  }

  private static DatasetConfig text(String glob) {
    return new DatasetConfig(
        List.of(glob),
        DatasetConfig.Format.TEXT,
        "text",
        Optional.empty(),
        Optional.empty(),
        Optional.empty());
  }

  private static DatasetConfig shards(String path) {
    return new DatasetConfig(
        List.of(),
        DatasetConfig.Format.TEXT,
        "text",
        Optional.of(path),
        Optional.empty(),
        Optional.empty());
  }

  private static DatasetConfig synthetic(long documents) {
    return new DatasetConfig(
        List.of(),
        DatasetConfig.Format.TEXT,
        "text",
        Optional.empty(),
        Optional.of(DatasetConfig.Synthetic.ARITHMETIC),
        Optional.of(documents));
  }

  @Test
  void textIsTokenizedOnceAndStaysTheRunsData() throws Exception {
    Path source = folder.resolve("a.txt");
    Files.writeString(source, "hello");
    ShardedDataset first = prepare("web", text(source.toString()));
    assertEquals(6, first.manifest().tokens());
    prepare("web", text(source.toString()));
    assertEquals(List.of(), warnings);
    Files.writeString(source, "something else");
    assertEquals(first.manifest(), prepare("web", text(source.toString())).manifest());
    assertEquals(1, warnings.size());
    assertTrue(warnings.getFirst().contains("changed"), warnings.getFirst());
    Files.delete(source);
    assertEquals(first.manifest(), prepare("web", text(source.toString())).manifest());
    assertTrue(warnings.getLast().contains("cannot be read any more"), warnings.getLast());
  }

  @Test
  void shardsAreOpenedWhereTheyAre() {
    ShardedDataset made = prepare("math", synthetic(30));
    assertEquals(
        made.manifest(), prepare("x", shards(folder.resolve("data/math").toString())).manifest());
    assertThrows(UserException.class, () -> prepare("x", shards(folder.toString())));
  }

  @Test
  void severalPreparationsAtOnceGiveOneDataset() throws Exception {
    try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
      List<Future<ShardedDataset>> all = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        all.add(pool.submit(() -> prepare("math", synthetic(300))));
      }
      for (Future<ShardedDataset> one : all) {
        assertEquals(all.getFirst().get().manifest(), one.get().manifest());
      }
    }
  }

  @Test
  void theDatasetIsNamedInErrors() {
    UserException e =
        assertThrows(UserException.class, () -> prepare("web", text(folder + "/none/*.txt")));
    assertTrue(e.getMessage().startsWith("dataset 'web': no file matches"), e.getMessage());
  }
}
