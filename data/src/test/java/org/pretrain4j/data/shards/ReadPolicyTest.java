package org.pretrain4j.data.shards;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.EOFException;
import java.io.FileNotFoundException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.LongStream;
import org.apache.hadoop.fs.ChecksumException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.FlakyFileSystem;
import org.pretrain4j.data.storage.LocalCache;
import org.pretrain4j.data.storage.Storage;

class ReadPolicyTest {
  private static final int LENGTH = 20;

  @TempDir Path folder;

  private Path shard;
  private byte[] whole;
  private List<int[]> undamaged;

  @BeforeEach
  void dataset() throws Exception {
    Random random = new Random(9);
    List<List<int[]>> shards = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      shards.add(Fixtures.documents(random, Fixtures.SMALL, 60, 40));
    }
    Fixtures.write(folder, Fixtures.SMALL, 200, shards);
    shard = folder.resolve("shard-1.arrow");
    whole = Files.readAllBytes(shard);
    undamaged = readAll(open(Fixtures.STORAGE, Optional.empty()));
    FlakyFileSystem.FAILURES.set(0);
  }

  private SequenceWindows open(Storage storage, Optional<Quarantine> quarantine) {
    org.apache.hadoop.fs.Path path =
        storage == Fixtures.STORAGE
            ? Fixtures.hadoop(folder)
            : new org.apache.hadoop.fs.Path("flaky://" + folder);
    return ShardedDataset.open(
            storage,
            path,
            Fixtures.SMALL,
            new BlockCache(1 << 20),
            new ReadPolicy(3, Duration.ofMillis(1), quarantine))
        .windows("web", LENGTH, 5);
  }

  private Quarantine quarantine() {
    return Quarantine.open(Fixtures.STORAGE, Fixtures.hadoop(folder.resolve("quarantine")));
  }

  private static List<int[]> readAll(SequenceWindows windows) {
    List<int[]> all = new ArrayList<>();
    for (long i = 0; i < 2 * windows.perEpoch(); i++) {
      all.add(windows.read(i).tokens());
    }
    return all;
  }

  private int differences(List<int[]> read) {
    int differences = 0;
    for (int i = 0; i < read.size(); i++) {
      differences += Arrays.equals(undamaged.get(i), read.get(i)) ? 0 : 1;
    }
    return differences;
  }

  private static void assertSame(List<int[]> expected, List<int[]> actual) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i), "sequence " + i);
    }
  }

  private void damageBlock(int block) throws Exception {
    ShardedDataset dataset = open(Fixtures.STORAGE, Optional.empty()).dataset();
    Shard opened =
        Shard.open(
            Fixtures.STORAGE,
            Fixtures.hadoop(shard),
            dataset.manifest().shards().get(1),
            Fixtures.SMALL,
            Optional.empty());
    byte[] bytes = whole.clone();
    bytes[(int) opened.index().block(block).getOffset() + 20] ^= 1;
    Files.write(shard, bytes);
  }

  @Test
  void damagedSequencesAreSubstitutedAlikeOnAllRanksAndAfterResume() throws Exception {
    damageBlock(2);
    Quarantine quarantine = quarantine();
    List<int[]> first = readAll(open(Fixtures.STORAGE, Optional.of(quarantine)));
    int differences = differences(first);
    assertTrue(differences > 10 && differences < 40, "sequences changed: " + differences);
    SequenceWindows again = open(Fixtures.STORAGE, Optional.of(quarantine));
    long substitutes =
        LongStream.range(0, 2 * again.perEpoch()).filter(i -> again.read(i).substitute()).count();
    assertEquals(differences, substitutes);
    assertEquals(1, quarantine.entries().size());
    assertEquals(2, quarantine.entries().getFirst().block());
    assertSame(first, readAll(open(Fixtures.STORAGE, Optional.of(quarantine()))));

    Files.write(shard, whole);
    assertSame(first, readAll(open(Fixtures.STORAGE, Optional.of(quarantine()))));
    assertEquals(0, differences(readAll(open(Fixtures.STORAGE, Optional.empty()))));
  }

  @Test
  void aMissingShardIsSubstitutedWhole() throws Exception {
    Files.delete(shard);
    assertThrows(ShardException.class, () -> open(Fixtures.STORAGE, Optional.empty()));
    Quarantine quarantine = quarantine();
    List<int[]> first = readAll(open(Fixtures.STORAGE, Optional.of(quarantine)));
    assertEquals(List.of(-1), quarantine.entries().stream().map(Quarantine.Entry::block).toList());
    assertSame(first, readAll(open(Fixtures.STORAGE, Optional.of(quarantine()))));
  }

  @Test
  void withoutSubstitutesLeftTheDatasetIsNamed() throws Exception {
    for (int i = 0; i < 3; i++) {
      Files.delete(folder.resolve("shard-" + i + ".arrow"));
    }
    SequenceWindows windows = open(Fixtures.STORAGE, Optional.of(quarantine()));
    ShardException e = assertThrows(ShardException.class, () -> windows.read(0));
    assertTrue(e.getMessage().contains("'web' is too damaged"), e.getMessage());
  }

  @Test
  void withoutQuarantineDamageStops() throws Exception {
    SequenceWindows windows = open(Fixtures.STORAGE, Optional.empty());
    damageBlock(2);
    ShardException e = assertThrows(ShardException.class, () -> readAll(windows));
    assertFalse(e.isUnreachable());
  }

  @Test
  void aFailingSourceIsTriedAgainAndThenNamed() {
    Storage storage = FlakyFileSystem.storage();
    Quarantine quarantine = quarantine();
    SequenceWindows windows = open(storage, Optional.of(quarantine));
    FlakyFileSystem.FAILURES.set(2);
    assertArrayEquals(undamaged.getFirst(), windows.read(0).tokens());
    assertEquals(0, FlakyFileSystem.FAILURES.get());
    FlakyFileSystem.FAILURES.set(Integer.MAX_VALUE);
    ShardException e = assertThrows(ShardException.class, () -> readAll(windows));
    assertTrue(e.isUnreachable() && e.getMessage().contains("connection reset"), e.getMessage());
    assertEquals(List.of(), quarantine.entries(), "an unreachable source is not damaged");
    FlakyFileSystem.FAILURES.set(0);
    assertSame(undamaged, readAll(windows));
  }

  /** As an operating system says it that has no file handles left, or a mount that went stale. */
  @Test
  void aLocalFileThatIsThereAndCannotBeOpenedIsNotDamage() {
    Storage storage = FlakyFileSystem.storage();
    Quarantine quarantine = quarantine();
    SequenceWindows windows =
        ShardedDataset.open(
                storage,
                Fixtures.hadoop(folder),
                Fixtures.SMALL,
                new BlockCache(1 << 20),
                new ReadPolicy(2, Duration.ofMillis(1), Optional.of(quarantine)))
            .windows("web", LENGTH, 5);
    FlakyFileSystem.prefix = "shard-";
    FlakyFileSystem.failure =
        () -> new FileNotFoundException("shard-1.arrow (Too many open files)");
    FlakyFileSystem.FAILURES.set(1);
    assertArrayEquals(undamaged.getFirst(), windows.read(0).tokens());
    FlakyFileSystem.FAILURES.set(Integer.MAX_VALUE);
    ShardException e = assertThrows(ShardException.class, () -> readAll(windows));
    assertTrue(e.isUnreachable() && e.getMessage().contains("Too many open"), e.getMessage());
    assertEquals(List.of(), quarantine.entries());
    FlakyFileSystem.FAILURES.set(0);
    assertSame(undamaged, readAll(windows));
  }

  @Test
  void whereTheManifestIsGoneAsWellAShardIsUnreachable() throws Exception {
    Quarantine quarantine = quarantine();
    SequenceWindows windows = open(Fixtures.STORAGE, Optional.of(quarantine));
    Path away = folder.resolve("away");
    Files.createDirectories(away);
    List<String> names = List.of("shard-0.arrow", "shard-1.arrow", "shard-2.arrow", Manifest.FILE);
    for (String name : names) {
      Files.move(folder.resolve(name), away.resolve(name));
    }
    ShardException e = assertThrows(ShardException.class, () -> windows.read(0));
    assertTrue(e.isUnreachable(), e.getMessage());
    assertEquals(List.of(), quarantine.entries());
    for (String name : names) {
      Files.move(away.resolve(name), folder.resolve(name));
    }
    assertSame(undamaged, readAll(windows));
  }

  @Test
  void corruptReplicasAreDamageAndACutStreamIsNot() {
    SequenceWindows stopping = open(FlakyFileSystem.storage(), Optional.empty());
    FlakyFileSystem.failure = () -> new ChecksumException("all replicas of block 7 are corrupt", 7);
    FlakyFileSystem.FAILURES.set(Integer.MAX_VALUE);
    ShardException corrupt = assertThrows(ShardException.class, () -> stopping.read(0));
    assertFalse(corrupt.isUnreachable(), corrupt.getMessage());
    FlakyFileSystem.failure = () -> new EOFException("end of stream");
    ShardException cut = assertThrows(ShardException.class, () -> stopping.read(0));
    assertTrue(cut.isUnreachable(), cut.getMessage());
    FlakyFileSystem.FAILURES.set(0);
    assertArrayEquals(undamaged.getFirst(), stopping.read(0).tokens());
  }

  @Test
  void aStreamThatEndsEarlyOnAShortFileIsDamage() throws Exception {
    Quarantine quarantine = quarantine();
    SequenceWindows windows = cached(new ReadPolicy(1, Duration.ZERO, Optional.of(quarantine)));
    assertSame(undamaged, readAll(windows));
    Files.write(shard, Arrays.copyOf(whole, whole.length / 2));
    assertTrue(differences(readAll(windows)) > 0);
    assertTrue(quarantine.entries().stream().allMatch(entry -> entry.block() > 0));
  }

  @Test
  void aDamagedKeptPieceIsNotBlamedOnTheSource() throws Exception {
    Path kept = folder.resolve("cache");
    try (LocalCache cache = new LocalCache(kept, 1 << 20)) {
      ReadPolicy policy = new ReadPolicy(1, Duration.ZERO, Optional.empty(), Optional.of(cache));
      readAll(cached(policy));
      List<Path> pieces;
      try (var files = Files.list(kept)) {
        pieces = files.filter(file -> file.toString().endsWith(".piece")).toList();
      }
      assertTrue(pieces.size() > 10, pieces.toString());
      for (Path piece : pieces) {
        byte[] bytes = Files.readAllBytes(piece);
        bytes[bytes.length / 2] ^= 1;
        Files.write(piece, bytes);
      }
      assertSame(undamaged, readAll(cached(policy)));
    }
  }

  private SequenceWindows cached(ReadPolicy policy) {
    return ShardedDataset.open(
            FlakyFileSystem.storage(),
            new org.apache.hadoop.fs.Path("flaky://" + folder),
            Fixtures.SMALL,
            new BlockCache(1),
            policy)
        .windows("web", LENGTH, 5);
  }
}
