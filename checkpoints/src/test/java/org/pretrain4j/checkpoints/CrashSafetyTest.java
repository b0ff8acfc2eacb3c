package org.pretrain4j.checkpoints;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem.Survival;

/**
 * A machine that dies after any single write, sync, rename or deletion of a save must leave the old
 * or the new checkpoint, whole.
 */
class CrashSafetyTest {
  private static final FlatLayout LAYOUT = SavedRun.layout(90, 3, 40);
  private static final Path ROOT = new Path("crash:///run/checkpoints");

  private final long seed = new Random().nextLong();
  private final Random random = new Random(seed);

  @BeforeEach
  void printSeed() {
    System.out.println("seed " + seed);
  }

  private static CheckpointStore store(CrashingFileSystem disk) {
    return new CheckpointStore(disk.durable(), ROOT);
  }

  private static void save(CheckpointStore store, long step, int worldSize, String attempt) {
    SavedRun.save(store, step, LAYOUT, SavedRun.ranges(LAYOUT.elements(), 50, worldSize), attempt);
  }

  @Test
  void theFirstSaveIsThereOrNot() {
    Set<Long> found = crashEverywhere(store -> {}, store -> save(store, 10, 2, "a"));
    assertEquals(Set.of(-1L, 10L), found);
  }

  @Test
  void theSecondSaveLeavesTheOldOrTheNew() {
    Set<Long> found =
        crashEverywhere(store -> save(store, 10, 3, "a"), store -> save(store, 20, 2, "a"));
    assertEquals(Set.of(10L, 20L), found);
  }

  @Test
  void savingOneStepTwiceLeavesTheOldOrTheNew() {
    Set<Long> found =
        crashEverywhere(store -> save(store, 10, 3, "a"), store -> save(store, 10, 2, "b"));
    assertEquals(Set.of(10L), found);
  }

  @Test
  void retentionLeavesTheNewest() {
    Set<Long> found =
        crashEverywhere(
            store -> {
              save(store, 10, 1, "a");
              save(store, 20, 2, "a");
            },
            store -> {
              save(store, 30, 2, "a");
              store.retainNewest(1, warning -> {});
            });
    assertEquals(Set.of(20L, 30L), found);
  }

  @Test
  void aSaveInTheBackgroundAndItsRetentionLeaveTheOldOrTheNew() {
    Set<Long> found =
        crashEverywhere(
            store -> {
              save(store, 10, 1, "a");
              save(store, 20, 3, "a");
            },
            store -> saveInBackground(store, 30));
    assertEquals(Set.of(20L, 30L), found);
  }

  /** Rank 0 comes last, so that it need not wait in vain when the machine dies. */
  private static void saveInBackground(CheckpointStore store, long step) {
    AsyncCheckpointer.Settings settings =
        new AsyncCheckpointer.Settings(100, Duration.ofSeconds(20));
    List<List<FlatRange>> ranges = SavedRun.ranges(LAYOUT.elements(), 50, 2);
    for (int rank = 1; rank >= 0; rank--) {
      try (AsyncCheckpointer checkpointer =
          new AsyncCheckpointer(
              store, "b", rank, 2, settings, published -> store.retainNewest(1, warning -> {}))) {
        checkpointer.save(
            LAYOUT,
            ranges.get(rank),
            SavedRun.sources(SavedRun.values(step, ranges.get(rank))),
            SavedRun.state(step));
      }
    }
  }

  @Test
  void pruningByRulesLeavesTheNewest() {
    RetentionPolicy policy = new RetentionPolicy(1, 20, Duration.ZERO);
    Set<Long> found =
        crashEverywhere(
            store -> {
              for (long step = 10; step <= 30; step += 10) {
                save(store, step, 2, "a");
              }
              store.stage(5, "killed");
            },
            store -> store.retain(policy, warning -> {}));
    assertEquals(Set.of(30L), found);
  }

  @Test
  void aTagThatMovesIsAtTheOldOrTheNewPlace() {
    Consumer<CheckpointStore> before =
        store -> {
          save(store, 10, 1, "a");
          save(store, 20, 1, "a");
          store.pin(10, "best");
        };
    CrashingFileSystem counting = prepared(before);
    long start = counting.operations();
    store(counting).pin(20, "best");
    long operations = counting.operations() - start;
    Set<Long> found = new TreeSet<>();
    for (long crash = 0; crash < operations; crash++) {
      for (Survival survival : Survival.values()) {
        CrashingFileSystem disk = prepared(before);
        disk.crashAfter(crash);
        assertThrows(CheckpointWriteException.class, () -> store(disk).pin(20, "best"));
        CheckpointStore survivor = store(disk.afterCrash(survival, random));
        found.add(survivor.tags().get("best"));
        survivor.retainNewest(1, warning -> {});
        assertTrue(survivor.steps().contains(survivor.tags().get("best")));
      }
    }
    assertEquals(Set.of(10L, 20L), found);
  }

  @Test
  void cleaningAfterAKilledSaveLeavesTheOldOrTheNew() {
    Set<Long> found =
        crashEverywhere(
            store -> {
              save(store, 10, 1, "a");
              store.stage(20, "killed");
              store.stage(10, "killed-too");
            },
            store -> save(store, 20, 2, "b"));
    assertEquals(Set.of(10L, 20L), found);
  }

  /** A folder that the killed process made and did not come to sync holds what is saved later. */
  @Test
  void whatIsSavedAfterAKillSurvivesACrash() {
    CrashingFileSystem counting = new CrashingFileSystem();
    save(store(counting), 10, 2, "a");
    for (long kill = 0; kill < counting.operations(); kill++) {
      CrashingFileSystem disk = new CrashingFileSystem();
      disk.crashAfter(kill);
      assertThrows(CheckpointWriteException.class, () -> save(store(disk), 10, 2, "a"));
      disk.restart(); // What the process did is there, synced or not.
      save(store(disk), 10, 2, "b");
      CheckpointStore survivor = store(disk.afterCrash(Survival.NOTHING, random));
      Optional<Checkpoint> found = survivor.newestGood(warning -> {});
      assertTrue(found.isPresent(), "lost after a kill before operation " + kill);
      SavedRun.assertHolds(found.get(), 10);
    }
  }

  /** Crashes the action after each of its operations; returns the steps found afterwards. */
  private Set<Long> crashEverywhere(
      Consumer<CheckpointStore> before, Consumer<CheckpointStore> action) {
    CrashingFileSystem counting = prepared(before);
    long start = counting.operations();
    action.accept(store(counting));
    long operations = counting.operations() - start;
    assertTrue(operations > 5, "only " + operations + " operations");

    Set<Long> found = new TreeSet<>();
    for (long crash = 0; crash <= operations; crash++) {
      for (Survival survival : Survival.values()) {
        for (int repeat = 0; repeat < (survival == Survival.SOMETHING ? 2 : 1); repeat++) {
          CrashingFileSystem disk = prepared(before);
          disk.crashAfter(crash);
          if (crash < operations) {
            try {
              action.accept(store(disk));
            } catch (CheckpointWriteException expected) {
              assertTrue(expected.getMessage().contains("crashed"), expected.getMessage());
            }
          } else {
            action.accept(store(disk));
          }
          found.add(recover(disk.afterCrash(survival, random)));
        }
      }
    }
    return found;
  }

  private static CrashingFileSystem prepared(Consumer<CheckpointStore> before) {
    CrashingFileSystem disk = new CrashingFileSystem();
    before.accept(store(disk));
    return disk.afterCrash(Survival.EVERYTHING, new Random(1));
  }

  /** Loads what is there, goes on from it, and finds the disk clean. */
  private long recover(CrashingFileSystem disk) {
    CheckpointStore store = store(disk);
    List<String> warnings = new ArrayList<>();
    Optional<Checkpoint> newest = store.newestGood(warnings::add);
    assertEquals(List.of(), warnings);
    newest.ifPresent(checkpoint -> SavedRun.assertHolds(checkpoint, checkpoint.step()));

    save(store, 40, 2, "after-crash");
    store.retainNewest(1, warnings::add);
    assertEquals(40, store.newestGood(warnings::add).orElseThrow().step());
    assertEquals(List.of(), warnings);
    assertEquals(List.of("step-0000000040"), names(disk));
    return newest.map(Checkpoint::step).orElse(-1L);
  }

  private static List<String> names(CrashingFileSystem disk) {
    try {
      List<String> names = new ArrayList<>();
      for (FileStatus entry : disk.listStatus(ROOT)) {
        names.add(entry.getPath().getName());
      }
      return names;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void anErrorInAnyOperationLosesNothingAndTheNextSaveWorks() {
    CrashingFileSystem counting = prepared(store -> save(store, 10, 2, "a"));
    long start = counting.operations();
    save(store(counting), 20, 2, "a");
    long operations = counting.operations() - start;
    int failures = 0;
    for (long failure = 0; failure < operations; failure++) {
      CrashingFileSystem disk = prepared(store -> save(store, 10, 2, "a"));
      disk.failAt(failure);
      CheckpointStore store = store(disk);
      try {
        save(store, 20, 2, "a");
      } catch (CheckpointWriteException e) {
        failures++;
        assertTrue(e.getMessage().contains("Input/output error"), e.getMessage());
      }
      Checkpoint found = store.newestGood(warning -> {}).orElseThrow();
      SavedRun.assertHolds(found, found.step());
      save(store, 20, 2, "a");
      SavedRun.assertHolds(store.newestGood(warning -> {}).orElseThrow(), 20);
    }
    assertTrue(failures > operations / 2, failures + " of " + operations);
  }

  @Test
  void aFullDiskIsNamedAndLosesNothing() {
    for (long free : new long[] {0, 100, 1500, 5000}) {
      CrashingFileSystem disk = prepared(store -> save(store, 10, 2, "a"));
      disk.freeBytes(free);
      CheckpointStore store = store(disk);
      CheckpointWriteException full =
          assertThrows(CheckpointWriteException.class, () -> save(store, 20, 2, "a"));
      assertTrue(full.getMessage().contains("No space left on device"), full.getMessage());
      assertTrue(full.getMessage().contains("/run/checkpoints"), full.getMessage());
      assertTrue(full.getMessage().contains("untouched"), full.getMessage());
      assertEquals(1, full.getMessage().lines().count());
      SavedRun.assertHolds(store.newestGood(warning -> {}).orElseThrow(), 10);
      disk.freeBytes(1_000_000);
      save(store, 20, 2, "a");
      SavedRun.assertHolds(store.newestGood(warning -> {}).orElseThrow(), 20);
      assertFalse(names(disk).contains(".staging-step-0000000020-a"));
    }
  }
}
