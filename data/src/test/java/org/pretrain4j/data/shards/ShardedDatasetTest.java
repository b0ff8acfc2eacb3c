package org.pretrain4j.data.shards;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;

class ShardedDatasetTest {
  private static final long SEED = 41;

  @TempDir Path folder;

  private ShardedDataset open(TokenizerIdentity id) {
    return ShardedDataset.open(
        Fixtures.STORAGE, Fixtures.hadoop(folder), id, new BlockCache(1 << 16));
  }

  private static int[] concatenate(List<int[]> documents) {
    return documents.stream().flatMapToInt(IntStream::of).toArray();
  }

  private void everyWindowIsReadOnceAnEpoch(TokenizerIdentity id) throws Exception {
    Random random = new Random(SEED);
    List<List<int[]>> shards = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      shards.add(Fixtures.documents(random, id, 1 + 20 * i, 1 + 60 * i));
    }
    Fixtures.write(folder, id, 100, shards);
    int length = 17;
    SequenceWindows windows = open(id).windows("web", length, SEED);
    Set<String> expected = new HashSet<>();
    for (List<int[]> shard : shards) {
      int[] tokens = concatenate(shard);
      for (int at = 0; at + length + 1 <= tokens.length; at += length + 1) {
        int[] window = IntStream.of(tokens).skip(at).limit(length + 1).toArray();
        assertTrue(expected.add(List.of(IntStream.of(window).boxed().toArray()).toString()));
      }
    }
    assertEquals(expected.size(), windows.perEpoch());
    for (int epoch = 0; epoch < 3; epoch++) {
      Set<String> seen = new HashSet<>();
      for (long i = 0; i < windows.perEpoch(); i++) {
        Sequence sequence = windows.read(epoch * windows.perEpoch() + i);
        seen.add(List.of(IntStream.of(sequence.tokens()).boxed().toArray()).toString());
        int[] starts =
            IntStream.range(1, length + 1)
                .filter(p -> sequence.tokens()[p - 1] == id.endOfDocument())
                .toArray();
        assertArrayEquals(starts, sequence.documentStarts(), "seed " + SEED + ", window " + i);
      }
      assertEquals(expected, seen);
    }
  }

  @Test
  void everyWindowIsReadOnceAnEpochInTwoBytes() throws Exception {
    everyWindowIsReadOnceAnEpoch(Fixtures.SMALL);
  }

  @Test
  void everyWindowIsReadOnceAnEpochInFourBytes() throws Exception {
    everyWindowIsReadOnceAnEpoch(Fixtures.LARGE);
  }

  @Test
  void epochsDifferInTheOrderOfShards() throws Exception {
    Random random = new Random(SEED);
    List<List<int[]>> shards = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      shards.add(Fixtures.documents(random, Fixtures.SMALL, 10, 30));
    }
    Fixtures.write(folder, Fixtures.SMALL, 100, shards);
    SequenceWindows windows = open(Fixtures.SMALL).windows("web", 10, SEED);
    int[] first = windows.read(0).tokens();
    int[] second = windows.read(windows.perEpoch()).tokens();
    assertFalse(java.util.Arrays.equals(first, second));
    assertArrayEquals(first, open(Fixtures.SMALL).windows("web", 10, SEED).read(0).tokens());
  }

  @Test
  void theSameDocumentsGiveTheSameBytesAndLongOnesSpanBlocks() throws Exception {
    List<int[]> documents = Fixtures.documents(new Random(SEED), Fixtures.SMALL, 5, 1000);
    Manifest first = Fixtures.write(folder.resolve("a"), Fixtures.SMALL, 64, List.of(documents));
    Manifest second = Fixtures.write(folder.resolve("b"), Fixtures.SMALL, 64, List.of(documents));
    assertEquals(first, second);
    assertEquals(
        -1, Files.mismatch(folder.resolve("a/shard-0.arrow"), folder.resolve("b/shard-0.arrow")));
    assertEquals(5, first.documents());
    assertEquals(concatenate(documents).length, first.tokens());
  }

  @Test
  void tooLittleTextForOneSequenceIsSaid() throws Exception {
    Fixtures.write(
        folder,
        Fixtures.SMALL,
        64,
        List.of(Fixtures.documents(new Random(1), Fixtures.SMALL, 1, 9)));
    UserException e =
        assertThrows(UserException.class, () -> open(Fixtures.SMALL).windows("web", 64, SEED));
    assertTrue(e.getMessage().contains("'web'"), e.getMessage());
  }

  private void assertRefused(String file, String... parts) {
    ShardException e =
        assertThrows(
            ShardException.class,
            () -> {
              ShardedDataset dataset = open(Fixtures.SMALL);
              dataset.verify();
            });
    assertTrue(e.file().endsWith(file), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    for (String part : parts) {
      assertTrue(e.getMessage().contains(part), e.getMessage());
    }
  }

  private Path small() throws Exception {
    List<int[]> documents = Fixtures.documents(new Random(SEED), Fixtures.SMALL, 50, 50);
    Fixtures.write(folder, Fixtures.SMALL, 128, List.of(documents, documents.subList(0, 20)));
    return folder.resolve("shard-1.arrow");
  }

  @Test
  void missingTruncatedAndSwappedShardsAreNamed() throws Exception {
    Path shard = small();
    byte[] bytes = Files.readAllBytes(shard);
    Files.delete(shard);
    assertRefused("shard-1.arrow", "is missing");
    Files.write(shard, java.util.Arrays.copyOf(bytes, bytes.length - 1));
    assertRefused("shard-1.arrow", "bytes, but the manifest says");
    Files.write(shard, new byte[bytes.length]);
    assertRefused("shard-1.arrow", "checksum");
    Files.copy(
        folder.resolve("shard-0.arrow"), shard, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    assertRefused("shard-1.arrow", "bytes, but the manifest says");
  }

  @Test
  void aFlippedByteInABlockIsFoundWhenTheBlockIsRead() throws Exception {
    Path shard = small();
    byte[] bytes = Files.readAllBytes(shard);
    bytes[(int) open(Fixtures.SMALL).manifest().shards().get(1).footerOffset() / 2] ^= 4;
    Files.write(shard, bytes);
    assertRefused("shard-1.arrow", "record batch", "checksum");
  }

  @Test
  void anotherTokenizerIsRefused() throws Exception {
    small();
    TokenizerIdentity other = new TokenizerIdentity("sha256:" + "2".repeat(64), 1000, 999);
    ShardException e = assertThrows(ShardException.class, () -> open(other));
    assertTrue(e.getMessage().contains("another tokenizer"), e.getMessage());
  }

  @Test
  void aChangedManifestIsRefused() throws Exception {
    small();
    Path manifest = folder.resolve("manifest.json");
    String text = Files.readString(manifest);
    for (String[] change :
        new String[][] {
          {"\"vocab_size\" : 1000", "\"vocab_size\" : 1001"},
          {"\"vocab_size\"", "\"vocabulary\""},
          {"\"version\" : 1", "\"version\" : 2"},
          {"shard-1", "shard-2"},
          {"\"documents\" : 70", "\"documents\" : 71"},
          {"\"bytes\" : ", "\"bytes\" : 1"},
          {"\"bytes\" : ", "\"bytes\" : -"},
          {"\"tokens\" : ", "\"tokens\" : 99999999999999"},
          {"}", ""},
        }) {
      Files.writeString(manifest, text.replaceFirst(change[0], change[1]));
      assertRefused("manifest.json");
    }
    Files.delete(manifest);
    assertRefused("manifest.json", "does not exist");
  }

  @Test
  void wrongDocumentsAreNotWritten() throws Exception {
    try (ShardWriter writer =
        new ShardWriter(
            Fixtures.STORAGE, Fixtures.hadoop(folder.resolve("x.arrow")), Fixtures.SMALL, 10)) {
      assertThrows(IllegalArgumentException.class, () -> writer.add(new int[0]));
      assertThrows(IllegalArgumentException.class, () -> writer.add(new int[] {1, 2}));
      assertThrows(IllegalArgumentException.class, () -> writer.add(new int[] {1000, 999}));
    }
    try (var files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
  }
}
