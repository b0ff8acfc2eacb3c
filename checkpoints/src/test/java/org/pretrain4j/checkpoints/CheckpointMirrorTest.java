package org.pretrain4j.checkpoints;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem.Survival;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.storage.TroubledFileSystem;

/** Copies that are slower than the saves, that break off, or whose folder gives trouble. */
@Timeout(60)
class CheckpointMirrorTest {
  private static final FlatLayout LAYOUT = SavedRun.layout(700, 3);

  private final CountDownLatch begun = new CountDownLatch(1);
  private final CountDownLatch mayGoOn = new CountDownLatch(1);
  @TempDir private java.nio.file.Path folder;

  private final CrashingFileSystem disk = new CrashingFileSystem();
  private final CheckpointStore source = store(disk.durable(), "first");
  private final List<String> warnings = new CopyOnWriteArrayList<>();

  private static CheckpointStore store(DurableFileSystem files, String name) {
    return new CheckpointStore(files, new Path("crash:///" + name));
  }

  @AfterEach
  void noTroubleForOthers() {
    TroubledFileSystem.TROUBLE.set(TroubledFileSystem.NONE);
  }

  private void save(long... steps) {
    for (long step : steps) {
      SavedRun.save(source, step, LAYOUT, 2);
    }
  }

  private CheckpointStore slowTarget() {
    TroubledFileSystem.waitFor("step-0000000010", begun, mayGoOn);
    return CheckpointStore.open("troubled://" + folder.toAbsolutePath());
  }

  @Test
  void whatIsBeingCopiedStaysAndWhatGoesUncopiedIsNamed() throws InterruptedException {
    CheckpointStore slow = slowTarget();
    RetentionPolicy policy = RetentionPolicy.newest(1);
    save(10);
    try (CheckpointMirror mirror = new CheckpointMirror(source, slow, warnings::add)) {
      mirror.followInBackground(10, policy);
      begun.await();
      save(20);
      mirror.retainSource(policy);
      assertEquals(List.of(10L, 20L), source.steps());
      save(30);
      mirror.retainSource(policy);
      assertEquals(List.of(10L, 30L), source.steps());
      mayGoOn.countDown();
      mirror.followInBackground(30, policy);
    }
    assertEquals(List.of(30L), source.steps());
    assertEquals(List.of(30L), slow.steps());
    assertEquals(1, warnings.size(), warnings::toString);
    assertTrue(warnings.getFirst().startsWith("step 20 was deleted before it was copied"));
  }

  @Test
  void copiesThatAreGivenUpSayNothingAndAreTakenUpAgain() throws InterruptedException {
    CheckpointStore slow = slowTarget();
    save(10);
    CheckpointMirror mirror = new CheckpointMirror(source, slow, warnings::add);
    mirror.followInBackground(10, RetentionPolicy.newest(1));
    begun.await();
    mirror.giveUp();
    assertEquals(List.of(), warnings);
    assertEquals(List.of(), slow.steps());
    mayGoOn.countDown();
    try (CheckpointMirror next = new CheckpointMirror(source, slow, warnings::add)) {
      next.followInBackground(10, RetentionPolicy.newest(1));
    }
    assertEquals(List.of(), warnings);
    assertEquals(List.of(10L), slow.steps());
  }

  @Test
  void aSaveThatEndsAfterTheCopiesWereGivenUpIsJustNotCopied() {
    save(10);
    CheckpointStore target = store(disk.durable(), "second");
    CheckpointMirror mirror = new CheckpointMirror(source, target, warnings::add);
    mirror.giveUp();
    mirror.copyInBackground(10);
    mirror.followInBackground(10, RetentionPolicy.newest(1));
    assertEquals(List.of(), warnings);
    assertEquals(List.of(), target.steps());
  }

  @Test
  void whatNobodyThoughtOfIsAWarningToo() {
    save(10);
    CheckpointStore target =
        store(
            new DurableFileSystem(
                new CrashingFileSystem(),
                folder -> {
                  throw new IllegalStateException("a bug");
                }),
            "second");
    try (CheckpointMirror mirror = new CheckpointMirror(source, target, warnings::add)) {
      mirror.copyInBackground(10);
    }
    assertEquals(List.of("a checkpoint was not copied: a bug"), warnings);
  }

  @Test
  void aCopyThatWasKilledAndResumedIsWholeAfterACrash() {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    save(10);
    long before = disk.operations();
    copy(disk, 10);
    long operations = disk.operations() - before;
    for (long kill = 0; kill < operations; kill++) {
      for (Survival survival : Survival.values()) {
        CrashingFileSystem killed = new CrashingFileSystem();
        SavedRun.save(store(killed.durable(), "first"), 10, LAYOUT, 2);
        killed.crashAfter(kill);
        assertThrows(RuntimeException.class, () -> copy(killed, 10));
        killed.restart(); // Only the process was gone; what it wrote is there, synced or not.
        copy(killed, 10);
        CrashingFileSystem survivor = killed.afterCrash(survival, random);
        CheckpointStore copies = store(survivor.durable(), "second");
        // A rename may be forgotten; what is there is whole.
        copies.newestGood(warnings::add).ifPresent(copy -> SavedRun.assertHolds(copy, 10));
        copy(survivor, 10);
        SavedRun.assertHolds(copies.newestGood(warnings::add).orElseThrow(), 10);
        assertEquals(List.of(), warnings);
      }
    }
  }

  private void copy(CrashingFileSystem on, long step) {
    CheckpointStore target = store(on.durable(), "second");
    try (CheckpointMirror mirror =
        new CheckpointMirror(store(on.durable(), "first"), target, warnings::add)) {
      mirror.copy(step);
    }
  }

  @Test
  void theRestOfAnOlderCopyIsKeptWhileItsSourceIsThere() throws IOException {
    save(10, 20, 30);
    CheckpointStore target = store(disk.durable(), "second");
    Path rest = target.stage(10, "mirror").folder();
    copy(disk, 20);
    assertTrue(disk.exists(rest));
    source.retainNewest(1, warnings::add);
    copy(disk, 30);
    assertFalse(disk.exists(rest));
  }

  @Test
  void theSamePinsAreSetAndTakenAway() {
    CheckpointStore target = store(disk.durable(), "second");
    RetentionPolicy policy = RetentionPolicy.newest(1);
    save(10, 20);
    source.pin(10, "best");
    source.pin(20, "paper");
    follow(target, 20, policy);
    assertEquals(Map.of("best", 10L, "paper", 20L), target.tags());
    source.unpin("paper");
    follow(target, 20, policy);
    assertEquals(Map.of("best", 10L), target.tags());
    source.unpin("best");
    follow(target, 20, policy);
    assertEquals(Map.of(), target.tags());
    assertEquals(List.of(20L), target.steps());
    assertEquals(List.of(), warnings);
  }

  private void follow(CheckpointStore target, long step, RetentionPolicy policy) {
    try (CheckpointMirror mirror = new CheckpointMirror(source, target, warnings::add)) {
      mirror.retainSource(policy);
      mirror.followInBackground(step, policy);
    }
  }
}
