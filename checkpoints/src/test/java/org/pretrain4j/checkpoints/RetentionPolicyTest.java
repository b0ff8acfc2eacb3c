package org.pretrain4j.checkpoints;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.LongPredicate;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem;
import org.pretrain4j.checkpoints.storage.TroubledFileSystem;
import org.pretrain4j.configuration.UserException;

class RetentionPolicyTest {
  private static final FlatLayout LAYOUT = SavedRun.layout(7, 2);

  private final CrashingFileSystem disk = new CrashingFileSystem();
  private Instant now = Instant.parse("2026-01-01T00:00:00Z");
  private final CheckpointStore store =
      new CheckpointStore(disk.durable(), new Path("crash:///checkpoints"), () -> now);

  @BeforeEach
  void saveOneAnHour() {
    for (int step = 1; step <= 8; step++) {
      now = now.plus(Duration.ofHours(1));
      SavedRun.save(store, step, LAYOUT, 2);
    }
  }

  private List<Long> kept(int keepLast, long keepEverySteps, Duration keepYoungerThan) {
    RetentionPolicy policy = new RetentionPolicy(keepLast, keepEverySteps, keepYoungerThan);
    List<Long> announced = store.wouldDelete(policy, Assertions::fail);
    assertEquals(8, store.steps().size());
    assertEquals(announced, store.retain(policy, Assertions::fail));
    return store.steps();
  }

  private static final class Assertions {
    static void fail(String warning) {
      throw new AssertionError(warning);
    }
  }

  @Test
  void theNewestStay() {
    assertEquals(List.of(6L, 7L, 8L), kept(3, 0, Duration.ZERO));
  }

  @Test
  void everySoManyStepsOneStays() {
    assertEquals(List.of(3L, 6L, 8L), kept(1, 3, Duration.ZERO));
  }

  @Test
  void theYoungStay() {
    assertEquals(List.of(5L, 6L, 7L, 8L), kept(2, 0, Duration.ofMinutes(200)));
  }

  @Test
  void anAgeBeyondAllTimesKeepsAll() {
    assertEquals(8, kept(1, 0, Duration.ofSeconds(Long.MAX_VALUE)).size());
  }

  @Test
  void thePinnedStayUntilTheyAreUnpinned() {
    store.pin(2, "best");
    store.pin(4, "paper");
    store.pin(5, "paper");
    assertEquals(Map.of("best", 2L, "paper", 5L), store.tags());
    assertEquals(List.of(2L, 5L, 8L), kept(1, 0, Duration.ZERO));
    store.unpin("best");
    store.retainNewest(1, Assertions::fail);
    assertEquals(List.of(5L, 8L), store.steps());
    assertThrows(UserException.class, () -> store.pin(2, "gone"));
    assertThrows(UserException.class, () -> store.pin(8, "no/such"));
  }

  @Test
  void whatIsPinnedWhileOthersAreDeletedStays() {
    LongPredicate pinsTheSecond =
        step -> {
          if (step == 4) {
            store.pin(2, "best");
          }
          return false;
        };
    List<Long> deleted = store.retain(RetentionPolicy.newest(3), pinsTheSecond, Assertions::fail);
    assertEquals(List.of(5L, 4L, 3L, 1L), deleted);
    assertEquals(List.of(2L, 6L, 7L, 8L), store.steps());
  }

  @Test
  void whatIsPinnedWhileTheNewestIsVerifiedStays() {
    Consumer<String> pinsTheFirst = warning -> store.pin(1, "best");
    assertEquals(8, store.steps().size());
    try {
      disk.delete(new Path("crash:///checkpoints/step-0000000008/manifest.json"), false);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    assertEquals(
        List.of(6L, 5L, 4L, 3L, 2L),
        store.retain(RetentionPolicy.newest(1), step -> false, pinsTheFirst));
  }

  @Test
  void aNameThatACrashLeftTwiceMovesAndGoesWhole() throws IOException {
    for (int step : new int[] {2, 4}) {
      disk.durable().createFolder(new Path("crash:///checkpoints/tags"));
      disk.durable().write(new Path("crash:///checkpoints/tags/best@" + step), new byte[0]);
    }
    assertEquals(Map.of("best", 4L), store.tags());
    store.pin(1, "best");
    assertEquals(Map.of("best", 1L), store.tags());
    disk.durable().write(new Path("crash:///checkpoints/tags/best@3"), new byte[0]);
    store.unpin("best");
    assertEquals(Map.of(), store.tags());
  }

  @Test
  void whatCannotBeReadForAMomentStays(@TempDir java.nio.file.Path folder) {
    CheckpointStore troubled = CheckpointStore.open("troubled://" + folder.toAbsolutePath());
    for (int step = 1; step <= 3; step++) {
      SavedRun.save(troubled, step, LAYOUT, 2);
    }
    RetentionPolicy policy = new RetentionPolicy(1, 0, Duration.ofHours(1));
    List<String> warnings = new ArrayList<>();
    TroubledFileSystem.READING.set(
        path -> {
          if (path.endsWith("step-0000000001/manifest.json")) {
            throw new IOException("connection reset");
          }
        });
    try {
      assertEquals(List.of(), troubled.retain(policy, warnings::add));
    } finally {
      TroubledFileSystem.READING.set(TroubledFileSystem.NONE);
    }
    assertEquals(List.of(1L, 2L, 3L), troubled.steps());
    assertEquals(1, warnings.size(), warnings::toString);
    assertTrue(warnings.getFirst().startsWith("a checkpoint that can't be read now stays: "));
  }

  @Test
  void rulesThatMakeNoSenseAreRefused() {
    assertThrows(UserException.class, () -> RetentionPolicy.newest(0));
    assertThrows(UserException.class, () -> new RetentionPolicy(1, -1, Duration.ZERO));
  }
}
