package org.pretrain4j.checkpoints;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.pretrain4j.checkpoints.safetensors.SafetensorsFile;
import org.pretrain4j.checkpoints.storage.BlockChecksums;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.UserException;

class CheckpointStoreTest {
  // A matrix, a norm smaller than the larger worlds, a scalar, and a middling one.
  private static final FlatLayout LAYOUT = SavedRun.layout(2300, 3, 1, 777);

  @TempDir Path folder;
  private CheckpointStore store;
  private final List<String> warnings = new ArrayList<>();

  @BeforeEach
  void open() throws IOException {
    store =
        new CheckpointStore(
            FileSystem.getLocal(new Configuration()),
            new org.apache.hadoop.fs.Path(folder.resolve("checkpoints").toUri()));
  }

  @Test
  void whatAnyNumberOfRanksWroteAnyOtherNumberReads() {
    int[] worlds = {1, 2, 3, 4, 7, 16};
    long step = 0;
    for (int writers : worlds) {
      step += 10;
      SavedRun.save(store, step, LAYOUT, writers);
      Checkpoint checkpoint = store.newestGood(warnings::add).orElseThrow();
      assertEquals(writers, checkpoint.worldSize());
      assertEquals(LAYOUT, checkpoint.layout());
      assertEquals(SavedRun.KINDS, checkpoint.kinds());
      for (int readers : worlds) {
        for (List<FlatRange> ranges : SavedRun.ranges(LAYOUT.elements(), 640, readers)) {
          SavedRun.assertHolds(checkpoint, step, ranges);
        }
      }
    }
    assertEquals(List.of(), warnings);
  }

  @Test
  void anyOwnershipAndAnyRangeAgree() {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int round = 0; round < 20; round++) {
      int[] sizes = random.ints(1 + random.nextInt(12), 1, 4000).toArray();
      FlatLayout layout = SavedRun.layout(sizes);
      int worldSize = 1 + random.nextInt(9);
      List<List<FlatRange>> owned = new ArrayList<>();
      for (int rank = 0; rank < worldSize; rank++) {
        owned.add(new ArrayList<>());
      }
      long next = 0;
      while (next < layout.elements()) {
        long end = Math.min(layout.elements(), next + random.nextInt(3000));
        List<FlatRange> owner = owned.get(random.nextInt(worldSize));
        // Not necessarily in the order of the flat space.
        owner.add(random.nextInt(owner.size() + 1), new FlatRange(next, end));
        next = end;
      }
      SavedRun.save(store, round, layout, owned, "seed-" + Math.abs(seed));
      Checkpoint checkpoint = store.newestGood(warnings::add).orElseThrow();
      for (int reads = 0; reads < 10; reads++) {
        long start = random.nextLong(layout.elements());
        long end = start + random.nextLong(layout.elements() - start + 1);
        SavedRun.assertHolds(checkpoint, round, List.of(new FlatRange(start, end)));
      }
    }
    assertEquals(List.of(), warnings);
  }

  @Test
  void theStoredFilesAreOrdinarySafetensors() throws IOException {
    SavedRun.save(store, 5, LAYOUT, 1);
    SavedRun.save(store, 6, LAYOUT, 2);
    try (SafetensorsFile file = safetensors("step-0000000005/rank-00000-of-00001.safetensors")) {
      // Buckets of 1000 elements cut the first parameter into three.
      assertTrue(
          file.tensors().containsKey("master/model.layers.0.weight[1000:2000]"),
          file.tensors().keySet().toString());
      assertEquals(List.of(1L, 3L), file.tensor("exp_avg/model.layers.1.weight").shape());
    }
    try (SafetensorsFile file = safetensors("step-0000000006/rank-00001-of-00002.safetensors")) {
      assertTrue(file.tensors().containsKey("master/model.layers.0.weight[500:1000]"));
      assertEquals("6", file.metadata().get("step"));
    }
    try (Stream<Path> all = Files.walk(folder)) {
      assertFalse(all.anyMatch(path -> path.toString().endsWith(".crc")));
    }
  }

  private SafetensorsFile safetensors(String name) throws IOException {
    return SafetensorsFile.open(
        DurableFileSystem.of(FileSystem.getLocal(new Configuration())),
        new org.apache.hadoop.fs.Path(folder.resolve("checkpoints").resolve(name).toUri()));
  }

  @Test
  void anEmptyFolderHasNoCheckpoint() {
    assertTrue(store.newestGood(warnings::add).isEmpty());
    UserException none = assertThrows(UserException.class, () -> store.open(3));
    assertTrue(none.getMessage().contains("no checkpoint of step 3"), none.getMessage());
  }

  @Test
  void aFlippedBitAnywhereIsNamedAndTheOlderCheckpointTaken() throws IOException {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    SavedRun.save(store, 10, LAYOUT, 2);
    SavedRun.save(store, 20, LAYOUT, 2);
    List<Path> stored;
    try (Stream<Path> list = Files.list(folder.resolve("checkpoints/step-0000000020"))) {
      stored = list.sorted().toList();
    }
    assertEquals(5, stored.size());
    for (Path file : stored) {
      byte[] content = Files.readAllBytes(file);
      for (int flip = 0; flip < 6; flip++) {
        byte[] damaged = content.clone();
        int at = flip == 0 ? 0 : flip == 1 ? content.length - 1 : random.nextInt(content.length);
        damaged[at] ^= (byte) (1 << random.nextInt(8));
        Files.write(file, damaged);
        assertFallsBack(file.getFileName().toString());
      }
      Files.write(file, content);
    }
    SavedRun.assertHolds(store.newestGood(warnings::add).orElseThrow(), 20);
  }

  @Test
  void aTruncatedMissingOrGrownFileIsNamedAndTheOlderCheckpointTaken() throws IOException {
    SavedRun.save(store, 10, LAYOUT, 2);
    SavedRun.save(store, 20, LAYOUT, 2);
    try (Stream<Path> list = Files.list(folder.resolve("checkpoints/step-0000000020"))) {
      for (Path file : list.toList()) {
        byte[] content = Files.readAllBytes(file);
        Files.write(file, java.util.Arrays.copyOf(content, content.length / 2));
        assertFallsBack(file.getFileName().toString());
        Files.write(file, java.util.Arrays.copyOf(content, content.length + 1));
        assertFallsBack(file.getFileName().toString());
        Files.write(file, new byte[0]);
        assertFallsBack(file.getFileName().toString());
        Files.delete(file);
        assertFallsBack(file.getFileName() + " is missing");
        Files.write(file, content);
      }
    }
  }

  private void assertFallsBack(String named) {
    warnings.clear();
    SavedRun.assertHolds(store.newestGood(warnings::add).orElseThrow(), 10);
    assertEquals(2, warnings.size(), warnings.toString());
    assertTrue(warnings.get(0).contains(named), warnings.get(0));
    assertTrue(warnings.get(0).contains("step-0000000020"), warnings.get(0));
    assertTrue(warnings.get(1).contains("step-0000000010"), warnings.get(1));
    assertEquals(1, warnings.get(0).lines().count());
  }

  @Test
  void onlyTheBlocksThatAreNeededAreVerified() throws IOException {
    FlatLayout layout = SavedRun.layout(1_000_000);
    List<FlatRange> all = List.of(new FlatRange(0, 1_000_000));
    StagedCheckpoint staged = store.stage(1, "a");
    staged.writeShard(0, 1, layout, all, Map.of("master", SavedRun.values(1, all).get("master")));
    staged.publish(1, SavedRun.state(1));
    Path shard = folder.resolve("checkpoints/step-0000000001/rank-00000-of-00001.safetensors");
    byte[] content = Files.readAllBytes(shard);
    content[content.length - 1] ^= 1;
    Files.write(shard, content);
    Checkpoint checkpoint = store.open(1);
    checkpoint.verifySizes();
    int block = BlockChecksums.DEFAULT_BLOCK_BYTES / Float.BYTES;
    MemorySegment part = Arena.ofAuto().allocate(4L * block, 4);
    checkpoint.read("master", new FlatRange(0, block), part);
    DamagedCheckpointException damaged =
        assertThrows(
            DamagedCheckpointException.class,
            () -> checkpoint.read("master", new FlatRange(1_000_000 - block, 1_000_000), part));
    assertTrue(damaged.getMessage().contains("damaged between byte"), damaged.getMessage());
  }

  @Test
  void ifAllAreDamagedTheUserIsTold() throws IOException {
    SavedRun.save(store, 10, LAYOUT, 1);
    Files.delete(folder.resolve("checkpoints/step-0000000010/manifest.json"));
    UserException thrown = assertThrows(UserException.class, () -> store.newestGood(warnings::add));
    assertTrue(thrown.getMessage().contains("no checkpoint in"), thrown.getMessage());
    assertTrue(thrown.getMessage().contains("manifest.json is missing"), thrown.getMessage());
  }

  @Test
  void aNewerFormatIsNotMistakenForDamage() throws IOException {
    SavedRun.save(store, 10, LAYOUT, 1);
    SavedRun.save(store, 20, LAYOUT, 1);
    Path manifest = folder.resolve("checkpoints/step-0000000020/manifest.json");
    String text = Files.readString(manifest);
    String body =
        text.substring(text.indexOf('\n') + 1).replaceFirst("\"version\" : 1", "\"version\" : 2");
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    Files.writeString(
        manifest,
        "{\"crc32c\":\"%08x\",\n%s".formatted(BlockChecksums.crc32c(bytes, 0, bytes.length), body));
    UserException newer = assertThrows(UserException.class, () -> store.newestGood(warnings::add));
    assertTrue(newer.getMessage().contains("version 2"), newer.getMessage());
  }

  @Test
  void whatAKilledSaveLeftIsIgnoredAndCleanedByTheNextOne() throws IOException {
    SavedRun.save(store, 10, LAYOUT, 2);
    List<FlatRange> owned = SavedRun.ranges(LAYOUT.elements(), 1000, 2).get(0);
    store.stage(20, "killed").writeShard(0, 2, LAYOUT, owned, SavedRun.values(20, owned));
    assertEquals(10, store.newestGood(warnings::add).orElseThrow().step());
    assertEquals(List.of(), warnings);
    assertEquals(2, entries());
    SavedRun.save(store, 11, LAYOUT, 2);
    assertEquals(List.of(10L, 11L), store.steps());
    assertEquals(2, entries());
  }

  private int entries() throws IOException {
    try (Stream<Path> list = Files.list(folder.resolve("checkpoints"))) {
      return (int) list.count();
    }
  }

  @Test
  void aMissingOrForeignShardIsNotPublished() {
    SavedRun.save(store, 10, LAYOUT, 2);
    List<List<FlatRange>> owned = SavedRun.ranges(LAYOUT.elements(), 1000, 2);
    StagedCheckpoint staged = store.stage(20, "b");
    staged.writeShard(0, 2, LAYOUT, owned.get(0), SavedRun.values(20, owned.get(0)));
    CheckpointWriteException missing =
        assertThrows(CheckpointWriteException.class, () -> staged.publish(2, SavedRun.state(20)));
    assertTrue(missing.getMessage().contains("rank-00001-of-00002"), missing.getMessage());
    // Both ranks claim the same ranges.
    staged.writeShard(1, 2, LAYOUT, owned.get(0), SavedRun.values(20, owned.get(0)));
    CheckpointWriteException twice =
        assertThrows(CheckpointWriteException.class, () -> staged.publish(2, SavedRun.state(20)));
    assertTrue(twice.getMessage().contains("two ranks own"), twice.getMessage());
    assertTrue(twice.getMessage().contains("untouched"), twice.getMessage());
    staged.discard();
    assertEquals(List.of(10L), store.steps());
  }

  @Test
  void aCheckpointOfTheSameStepIsReplaced() throws IOException {
    SavedRun.save(store, 10, LAYOUT, 4);
    SavedRun.save(store, 10, LAYOUT, 2);
    assertEquals(2, store.newestGood(warnings::add).orElseThrow().worldSize());
    assertEquals(1, entries());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void onlyTheNewestAreKept(int keepLast) throws IOException {
    for (int step = 1; step <= 4; step++) {
      SavedRun.save(store, step, LAYOUT, 2);
      store.retainNewest(keepLast, warnings::add);
    }
    assertEquals(List.of(1L, 2L, 3L, 4L).subList(Math.max(0, 4 - keepLast), 4), store.steps());
    assertEquals(Math.min(4, keepLast), entries());
    assertEquals(List.of(), warnings);
  }

  @Test
  void theNewestGoodOneIsNeverDeleted() throws IOException {
    for (int step = 1; step <= 4; step++) {
      SavedRun.save(store, step, LAYOUT, 1);
    }
    for (int step = 3; step <= 4; step++) {
      Path shard =
          folder.resolve("checkpoints/step-000000000" + step + "/rank-00000-of-00001.safetensors");
      byte[] content = Files.readAllBytes(shard);
      content[content.length / 2] ^= 1;
      Files.write(shard, content);
    }
    store.retainNewest(1, warnings::add);
    assertEquals(2, warnings.size());
    assertEquals(List.of(2L, 3L, 4L), store.steps());
    assertEquals(2, store.newestGood(warnings::add).orElseThrow().step());
  }

  @Test
  void anotherRankOpensTheVeryCheckpointThatWasFound() throws IOException {
    SavedRun.save(store, 10, LAYOUT, 2);
    Path published = folder.resolve("checkpoints/step-0000000010");
    Files.move(published, folder.resolve("checkpoints/.replaced-step-0000000010-x"));
    SavedRun.save(store, 20, LAYOUT, 2);
    Files.move(folder.resolve("checkpoints/step-0000000020"), published);
    Files.delete(published.resolve("rank-00001-of-00002.safetensors"));
    Checkpoint found = store.newestGood(warnings::add).orElseThrow();
    assertEquals(".replaced-step-0000000010-x", found.folder().getName());
    SavedRun.assertHolds(store.openFolder(found.folder().getName()), 10);
    assertThrows(UserException.class, () -> store.openFolder("step-0000000030"));
  }

  @Test
  void anUnwritableFolderIsNamedInOneLine() throws IOException {
    Files.writeString(folder.resolve("checkpoints"), "a file");
    CheckpointWriteException thrown =
        assertThrows(CheckpointWriteException.class, () -> store.stage(1, "a"));
    assertTrue(thrown.getMessage().contains("checkpoints is a file"), thrown.getMessage());
    assertEquals(1, thrown.getMessage().lines().count());
  }
}
