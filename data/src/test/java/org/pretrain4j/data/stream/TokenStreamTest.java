package org.pretrain4j.data.stream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.SequenceWindows;
import org.pretrain4j.data.shards.ShardException;
import org.pretrain4j.data.shards.ShardedDataset;

class TokenStreamTest {
  private static final int ROWS = 8;
  private static final int LENGTH = 31;

  @TempDir Path folder;

  @BeforeEach
  void datasets() throws Exception {
    Random random = new Random(3);
    for (String name : List.of("web", "math")) {
      List<List<int[]>> shards = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        shards.add(Fixtures.documents(random, Fixtures.SMALL, 30, 80));
      }
      Fixtures.write(folder.resolve(name), Fixtures.SMALL, 256, shards);
    }
  }

  private TokenStream stream(long cacheBytes) {
    BlockCache cache = new BlockCache(cacheBytes);
    List<SequenceWindows> windows = new ArrayList<>();
    for (String name : List.of("web", "math")) {
      windows.add(
          ShardedDataset.open(
                  Fixtures.STORAGE, Fixtures.hadoop(folder.resolve(name)), Fixtures.SMALL, cache)
              .windows(name, LENGTH, 6));
    }
    StagePlan plan =
        new StagePlan(
            List.of("web", "math"),
            ROWS,
            List.of(
                new Stage("one", 20, Map.of("web", 0.9, "math", 0.1)),
                new Stage("two", 30, Map.of("web", 0.4, "math", 0.6))));
    return new TokenStream(plan, windows);
  }

  private static void add(MessageDigest digest, Row row) {
    ByteBuffer bytes =
        ByteBuffer.allocate(4 * (row.tokens().length + row.documentStarts().length + 1));
    bytes.asIntBuffer().put(row.tokens()).put(row.documentStarts()).put(row.dataset());
    digest.update(bytes);
  }

  private String directly(long firstStep) throws Exception {
    TokenStream stream = stream(1 << 20);
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    for (long step = firstStep; step < 50; step++) {
      for (int row = 0; row < ROWS; row++) {
        add(digest, stream.row(step, row));
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private String byRanks(int ranks, long firstStep, long cacheBytes) throws Exception {
    TokenStream stream = stream(cacheBytes);
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    List<ReadAhead> readers = new ArrayList<>();
    int each = ROWS / ranks;
    for (int rank = 0; rank < ranks; rank++) {
      readers.add(new ReadAhead(stream, firstStep, rank * each, (rank + 1) * each, 3, 2));
    }
    for (long step = firstStep; step < 50; step++) {
      for (ReadAhead reader : readers) {
        reader.next().forEach(row -> add(digest, row));
      }
    }
    for (ReadAhead reader : readers) {
      assertThrows(IllegalStateException.class, reader::next);
      assertTrue(reader.takeWaitSeconds() >= 0);
      reader.close();
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  @Test
  void theStreamIsTheSameForAnyRanksCacheAndReadAhead() throws Exception {
    String expected = directly(0);
    for (int ranks : new int[] {1, 2, 4, 8}) {
      assertEquals(expected, byRanks(ranks, 0, 1 << 20), ranks + " ranks");
    }
    assertEquals(expected, byRanks(4, 0, 1), "without a cache to speak of");
  }

  @Test
  void theStreamIsTheSameAfterResumingAtAnyStep() throws Exception {
    Random random = new Random(11);
    for (int i = 0; i < 5; i++) {
      long step = random.nextInt(50);
      assertEquals(directly(step), byRanks(2, step, 1 << 20), "step " + step);
    }
  }

  @Test
  void theLedgerCountsWhatWasRead() {
    TokenStream stream = stream(1 << 20);
    long[] samples = new long[2];
    for (long step = 0; step < 50; step++) {
      Ledger ledger = stream.ledger(step);
      for (int d = 0; d < 2; d++) {
        assertEquals(samples[d], ledger.entries().get(d).samples());
        assertEquals(samples[d] * LENGTH, ledger.entries().get(d).tokens());
      }
      for (int row = 0; row < ROWS; row++) {
        samples[stream.row(step, row).dataset()]++;
      }
    }
    Ledger end = stream.ledger(50);
    assertEquals(0.4, end.entries().get(0).stageShare(), 1.0 / (30 * ROWS));
    assertEquals(0.4, end.entries().get(0).weight(), 1e-12);
    assertTrue(end.entries().get(1).epochs() > 0);
  }

  @Test
  void aDatasetThatWouldBeRepeatedTooOftenIsNamed() {
    TokenStream stream = stream(1 << 20);
    double most =
        stream.ledger(50).entries().stream().mapToDouble(Ledger.Entry::epochs).max().orElseThrow();
    stream.requireEpochs(most);
    UserException e = assertThrows(UserException.class, () -> stream.requireEpochs(most * 0.99));
    assertTrue(e.getMessage().contains("would be read"), e.getMessage());
  }

  @Test
  void aDamagedShardIsThrownWhenItsStepIsDue() throws Exception {
    TokenStream stream = stream(1 << 20);
    try (var files = Files.list(folder.resolve("web"))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".arrow")).toList()) {
        byte[] bytes = Files.readAllBytes(file);
        bytes[600] ^= 1;
        Files.write(file, bytes);
      }
    }
    try (ReadAhead reader = new ReadAhead(stream, 0, 0, ROWS, 2, 1)) {
      assertThrows(ShardException.class, reader::next);
    }
  }
}
