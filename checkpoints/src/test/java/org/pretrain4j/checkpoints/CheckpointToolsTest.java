package org.pretrain4j.checkpoints;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.BlockChecksums;
import org.pretrain4j.checkpoints.storage.ChecksummedOutput;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem.Survival;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.MapTensors;

class CheckpointToolsTest {
  private static final FlatLayout LAYOUT = SavedRun.layout(2100, 3, 700);

  private final CrashingFileSystem disk = new CrashingFileSystem();
  private final CheckpointStore store = store(disk, "first");
  private final List<String> warnings = new ArrayList<>();

  private static CheckpointStore store(CrashingFileSystem disk, String name) {
    return new CheckpointStore(disk.durable(), new Path("crash:///" + name));
  }

  @Test
  void reshardingKeepsEveryBit() {
    SavedRun.save(store, 10, LAYOUT, 3);
    for (int worldSize : new int[] {1, 2, 7}) {
      CheckpointStore target = store(disk, "resharded");
      CheckpointReshard.reshard(store.open(10), target, worldSize);
      Checkpoint resharded = target.newestGood(warnings::add).orElseThrow();
      assertEquals(worldSize, resharded.worldSize());
      SavedRun.assertHolds(resharded, 10);
      assertTrue(CheckpointDiff.compare(store.open(10), resharded).none());
    }
  }

  @Test
  void differencesAreNamed() {
    SavedRun.save(store, 10, LAYOUT, 3);
    List<FlatRange> all = List.of(new FlatRange(0, LAYOUT.elements()));
    Map<String, MemorySegment> values = SavedRun.values(10, all);
    values.get("master").setAtIndex(ValueLayout.JAVA_FLOAT, 2101, 1f);
    values.get("master").setAtIndex(ValueLayout.JAVA_FLOAT, 2102, Float.NaN);
    StagedCheckpoint staged = store(disk, "second").stage(10, "a");
    staged.writeShard(0, 1, LAYOUT, all, values);
    staged.publish(
        1, CheckpointState.builder(10).tokens(7).stage("web").configuration("x").build());
    CheckpointDiff.Differences differences =
        CheckpointDiff.compare(store.open(10), store(disk, "second").open(10));
    assertEquals(List.of(), differences.structure());
    assertEquals(List.of("40960", "7"), differences.state().get("tokens"));
    assertEquals(1, differences.tensors().size());
    CheckpointDiff.TensorDifference tensor = differences.tensors().getFirst();
    assertEquals("model.layers.1.weight", tensor.parameter());
    assertEquals("master", tensor.kind());
    assertEquals(2, tensor.differing());
    assertEquals(3, tensor.elements());
    assertTrue(Double.isNaN(tensor.largest()));

    SavedRun.save(store, 20, SavedRun.layout(2100, 4), 1);
    List<String> structure = CheckpointDiff.compare(store.open(10), store.open(20)).structure();
    assertEquals(2, structure.size(), structure.toString());
    assertTrue(structure.get(0).contains("model.layers.1.weight has the shape [1, 3]"));
    assertTrue(structure.get(1).contains("only the first has the parameter model.layers.2.weight"));
  }

  @Test
  void aCopyThatCrashesAnywhereGoesOnWhereItWas() {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    SavedRun.save(store, 10, LAYOUT, 3);
    long before = disk.operations();
    copy(disk, 10);
    long operations = disk.operations() - before;
    long fewest = operations;
    for (long crash = 0; crash < operations; crash++) {
      for (Survival survival : Survival.values()) {
        CrashingFileSystem crashing = new CrashingFileSystem();
        SavedRun.save(store(crashing, "first"), 10, LAYOUT, 3);
        crashing.crashAfter(crash);
        assertThrows(RuntimeException.class, () -> copy(crashing, 10));
        CrashingFileSystem survivor = crashing.afterCrash(survival, random);
        store(survivor, "second")
            .newestGood(warnings::add)
            .ifPresent(copy -> SavedRun.assertHolds(copy, 10));
        SavedRun.assertHolds(store(survivor, "first").newestGood(warnings::add).orElseThrow(), 10);
        copy(survivor, 10);
        fewest = Math.min(fewest, survivor.operations());
        Checkpoint copy = store(survivor, "second").newestGood(warnings::add).orElseThrow();
        SavedRun.assertHolds(copy, 10);
      }
    }
    assertTrue(fewest < operations / 2, "nothing was taken over: " + fewest + " operations");
  }

  private void copy(CrashingFileSystem on, long step) {
    try (CheckpointMirror mirror =
        new CheckpointMirror(store(on, "first"), store(on, "second"), warning -> {})) {
      mirror.copy(step);
    }
  }

  @Test
  void copiesThatFollowSurviveACrashAnywhere() {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    CrashingFileSystem counting = withOldCopies();
    long before = counting.operations();
    follow(counting);
    long operations = counting.operations() - before;
    assertEquals(List.of(20L, 30L), store(counting, "second").steps());
    assertEquals(Map.of("best", 20L), store(counting, "second").tags());
    for (long crash = 0; crash < operations; crash++) {
      for (Survival survival : Survival.values()) {
        CrashingFileSystem crashing = withOldCopies();
        crashing.crashAfter(crash);
        follow(crashing);
        CrashingFileSystem survivor = crashing.afterCrash(survival, random);
        List<String> damaged = new ArrayList<>();
        Checkpoint newest = store(survivor, "second").newestGood(damaged::add).orElseThrow();
        assertEquals(List.of(), damaged);
        SavedRun.assertHolds(newest, newest.step());
        follow(survivor);
        assertEquals(List.of(20L, 30L), store(survivor, "second").steps());
        assertEquals(Map.of("best", 20L), store(survivor, "second").tags());
        CheckpointListing.verify(store(survivor, "second"))
            .forEach(entry -> assertTrue(entry.problem().isEmpty(), entry.toString()));
      }
    }
  }

  /** The first folder has 20 (pinned) and 30; the second has copies of 10 and 20. */
  private static CrashingFileSystem withOldCopies() {
    CrashingFileSystem disk = new CrashingFileSystem();
    FlatLayout small = SavedRun.layout(90, 3);
    for (long step = 10; step <= 30; step += 10) {
      if (step > 10) {
        SavedRun.save(store(disk, "first"), step, small, 2);
      }
      if (step < 30) {
        SavedRun.save(store(disk, "second"), step, small, 2);
      }
    }
    store(disk, "first").pin(20, "best");
    return disk.afterCrash(Survival.EVERYTHING, new Random(1));
  }

  private static void follow(CrashingFileSystem on) {
    try (CheckpointMirror mirror =
        new CheckpointMirror(store(on, "first"), store(on, "second"), warning -> {})) {
      mirror.followInBackground(30, RetentionPolicy.newest(1));
    }
  }

  @Test
  void theBackgroundCopiesWhatTheTargetLacks() {
    SavedRun.save(store, 10, LAYOUT, 3);
    SavedRun.save(store, 20, LAYOUT, 2);
    SavedRun.save(store, 30, LAYOUT, 2);
    CheckpointStore second = store(disk, "second");
    try (CheckpointMirror mirror = new CheckpointMirror(store, second, warnings::add)) {
      mirror.copyInBackground(20);
    }
    assertEquals(List.of(), warnings);
    assertEquals(List.of(10L, 20L), second.steps());
    SavedRun.assertHolds(second.newestGood(warnings::add).orElseThrow(), 20);
    long before = disk.operations();
    copy(disk, 20);
    assertEquals(before, disk.operations());
  }

  @Test
  void theListShowsWhatIsGoodAndWhatIsNot() throws Exception {
    SavedRun.save(store, 10, LAYOUT, 3);
    SavedRun.save(store, 20, LAYOUT, 2);
    store.pin(10, "best");
    disk.delete(new Path("crash:///first/step-0000000020/rank-00001-of-00002.json"), false);
    List<CheckpointListing.Entry> listing = CheckpointListing.list(store);
    assertEquals(2, listing.size());
    assertEquals(List.of("best"), listing.get(0).tags());
    assertTrue(listing.get(0).problem().isEmpty());
    assertTrue(listing.get(1).problem().orElseThrow().contains("rank-00001-of-00002.json"));
    assertTrue(CheckpointListing.verify(store, 10).problem().isEmpty());
  }

  @Test
  void everyFieldOfTheStateIsCompared() {
    SavedRun.save(store, 10, LAYOUT, 1);
    List<FlatRange> all = List.of(new FlatRange(0, LAYOUT.elements()));
    CheckpointState other =
        CheckpointState.builder(20)
            .tokens(7)
            .stage("math")
            .tokensByDataset(Map.of("math", 7L))
            .datasetChecksums(Map.of("math", "00000000"))
            .dataChanges(List.of(new DataChange(3, List.of("mixture"), List.of(), Map.of())))
            .seed(1)
            .counters(Map.of("skipped_steps", 1L))
            .spikeWindow(List.of(1.0))
            .configuration("x")
            .versions(Map.of("java", "1"))
            .build();
    StagedCheckpoint staged = store(disk, "second").stage(20, "a");
    staged.writeShard(0, 1, LAYOUT, all, SavedRun.values(10, all));
    staged.publish(1, other);
    CheckpointDiff.Differences differences =
        CheckpointDiff.compare(store.open(10), store(disk, "second").open(20));
    List<String> fields =
        Stream.of(CheckpointState.class.getRecordComponents())
            .map(field -> field.getName().replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT))
            .toList();
    assertEquals(fields, List.copyOf(differences.state().keySet()));
  }

  @Test
  void aBadSourceLeavesNothingStaged() throws IOException {
    SavedRun.save(store, 10, LAYOUT, 2);
    disk.delete(new Path("crash:///first/step-0000000010/rank-00001-of-00002.safetensors"), false);
    assertThrows(
        DamagedCheckpointException.class,
        () -> CheckpointReshard.reshard(store.open(10), store(disk, "second"), 3));
    assertEquals(0, disk.listStatus(new Path("crash:///second")).length);
    FlatLayout layout = SavedRun.layout(5);
    TensorSpec spec = new TensorSpec("model.layers.0.weight", DType.F32, List.of(1L, 5L));
    MapTensors cutShort = new MapTensors().put(spec, new float[2]);
    assertThrows(
        IndexOutOfBoundsException.class,
        () -> FirstCheckpoint.write(cutShort, layout, store(disk, "third"), SavedRun.state(0)));
    assertEquals(0, disk.listStatus(new Path("crash:///third")).length);
  }

  @Test
  void blocksOfAnotherSizeAreVerifiedToTheLast() throws IOException {
    SavedRun.save(store, 10, LAYOUT, 1);
    Path folder = new Path("crash:///first/step-0000000010");
    Path summaryPath = new Path(folder, ShardSummary.summaryName(0, 1));
    Path shard = new Path(folder, ShardSummary.shardName(0, 1));
    DurableFileSystem files = disk.durable();
    ShardSummary old = SealedJson.read(files, summaryPath, ShardSummary.class).value();
    int blockBytes = 1000;
    byte[] content = files.read(shard);
    BlockChecksums checksums;
    try (ChecksummedOutput out = files.create(shard, blockBytes)) {
      out.write(content, 0, content.length);
      checksums = out.finish();
    }
    String crc =
        SealedJson.write(
            files,
            summaryPath,
            new ShardSummary(
                old.format(),
                old.version(),
                old.step(),
                old.attempt(),
                old.rank(),
                old.worldSize(),
                old.file(),
                old.bytes(),
                old.dataStart(),
                old.layoutFingerprint(),
                old.kinds(),
                old.ranges(),
                blockBytes,
                checksums.toHex()));
    Path manifestPath = new Path(folder, Manifest.FILE_NAME);
    Manifest manifest = SealedJson.read(files, manifestPath, Manifest.class).value();
    Manifest.Shard first = manifest.shards().getFirst();
    SealedJson.write(
        files,
        manifestPath,
        new Manifest(
            manifest.format(),
            manifest.version(),
            manifest.step(),
            manifest.savedAtSeconds(),
            manifest.attempt(),
            1,
            manifest.kinds(),
            manifest.layout(),
            List.of(
                new Manifest.Shard(
                    0,
                    first.file(),
                    first.bytes(),
                    first.dataStart(),
                    first.ranges(),
                    first.checksumsFile(),
                    crc)),
            manifest.state()));
    store.open(10).verify();
    content[content.length - 1] ^= 1;
    files.write(shard, content);
    assertThrows(DamagedCheckpointException.class, () -> store.open(10).verify());
  }
}
