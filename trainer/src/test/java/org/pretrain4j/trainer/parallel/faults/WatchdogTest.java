package org.pretrain4j.trainer.parallel.faults;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.InProcessGroup;

@Timeout(60)
class WatchdogTest {
  @TempDir Path folder;

  @Test
  void aHangIsReportedWithCulpritAndThreadDump() throws Exception {
    InProcessGroup group = new InProcessGroup(2, Duration.ofSeconds(50));
    BlockingQueue<Watchdog.Hang> hangs = new LinkedBlockingQueue<>();
    FlightRecorder waiting = new FlightRecorder(0, 1);
    FlightRecorder computing = new FlightRecorder(1, 1);
    computing.step(3, "backward");
    computing.record().write(folder);
    Duration timeout = Duration.ofSeconds(1);
    try (Watchdog watchdog = Watchdog.start(waiting, folder, 2, timeout, hangs::add);
        Collectives collectives = new MonitoredCollectives(group.rank(0), waiting)) {
      watchdog.recorder().step(3, "communication");
      Thread stuck =
          Thread.ofPlatform()
              .name("rank-0-works")
              .start(
                  () -> {
                    try {
                      collectives.barrier();
                    } catch (RuntimeException e) {
                      waiting.step(4, "ended");
                    }
                  });
      for (int i = 0; i < 200 && hangs.isEmpty(); i++) {
        computing.record().write(folder); // the other rank's watchdog lives
        Thread.sleep(20);
      }
      Watchdog.Hang hang = hangs.poll(10, TimeUnit.SECONDS);
      assertNotNull(hang);
      assertEquals(1, hang.culprits().first());
      assertEquals(Supervisor.OTHER_RANK, hang.exitCode(), "it only waits");
      assertTrue(
          hang.describe()
              .startsWith(
                  "rank 0 hangs (step 3, communication, waiting in collective #0 barrier()); rank 1"
                      + " has not gone on for"),
          hang.describe());
      String dump = Files.readString(hang.dump());
      assertTrue(dump.contains("\"rank-0-works\""), dump);
      assertTrue(dump.contains("MonitoredCollectives.barrier"), dump);
      group.rank(1).abort("end of the test");
      stuck.join();
    }
    assertTrue(waiting.exposedSeconds() > 0.5, "waited " + waiting.exposedSeconds());
  }

  @Test
  void everyRankDescribesAHangBeforeTheFirstEnds() throws Exception {
    BlockingQueue<Boolean> complete = new LinkedBlockingQueue<>();
    Duration timeout = Duration.ofSeconds(1);
    FlightRecorder hanging = new FlightRecorder(0, 1);
    hanging.step(3, "data");
    Thread.sleep(300);
    FlightRecorder waiting = new FlightRecorder(1, 1);
    waiting.step(3, "communication");
    Path last = folder.resolve("hang-rank-1.txt");
    try (Watchdog first =
            Watchdog.start(hanging, folder, 2, timeout, hang -> complete.add(Files.exists(last)));
        Watchdog second = Watchdog.start(waiting, folder, 2, timeout, hang -> {})) {
      assertFalse(second.isHangReported());
      assertEquals(true, complete.poll(20, TimeUnit.SECONDS));
      assertTrue(first.isHangReported() && second.isHangReported());
    }
  }

  @Test
  void theCulpritOrOneThatNobodyNamesEndsAsOneThatHangs() {
    FlightRecord computes = new FlightRecord(1, 1, 1, 3, "backward", 4, "barrier()", false, 0, 0);
    FlightRecord waits = new FlightRecord(1, 1, 1, 3, "backward", 4, "barrier()", true, 0, 0);
    Culprits it = new Culprits(Map.of(1, "rank 1 is behind"));
    Culprits another = new Culprits(Map.of(0, "rank 0 is behind"));
    assertEquals(Supervisor.HUNG, new Watchdog.Hang(computes, it, folder).exitCode());
    assertEquals(Supervisor.HUNG, new Watchdog.Hang(waits, it, folder).exitCode());
    assertEquals(Supervisor.HUNG, new Watchdog.Hang(computes, another, folder).exitCode());
    assertEquals(Supervisor.OTHER_RANK, new Watchdog.Hang(waits, another, folder).exitCode());
    Culprits nobody = new Culprits(Map.of());
    assertEquals(Supervisor.HUNG, new Watchdog.Hang(waits, nobody, folder).exitCode());
  }

  @Test
  void ofSeveralRanksOfAProcessTheOneThatIsAskedForIsReported() throws Exception {
    List<FlightRecorder> recorders = List.of(new FlightRecorder(4, 1), new FlightRecorder(5, 1));
    recorders.getLast().step(8, "data");
    try (Watchdog watchdog =
        Watchdog.start(recorders, folder, 6, Duration.ofSeconds(50), hang -> {})) {
      Watchdog.Hang hang = watchdog.report(5);
      assertEquals(folder.resolve("hang-rank-5.txt"), hang.dump());
      String dump = Files.readString(hang.dump());
      assertTrue(dump.startsWith("rank 5: step 8, data"), dump);
    }
  }

  @Test
  void ofSeveralRanksOfAProcessTheOneThatDoesNotWaitIsTheOneThatHangs() throws Exception {
    FlightRecorder waiting = new FlightRecorder(0, 1);
    waiting.began("barrier()");
    waiting.waits(true);
    FlightRecorder computing = new FlightRecorder(1, 1);
    BlockingQueue<Watchdog.Hang> hangs = new LinkedBlockingQueue<>();
    try (Watchdog watchdog =
        Watchdog.start(List.of(waiting, computing), folder, 2, Duration.ofSeconds(1), hangs::add)) {
      assertEquals(waiting, watchdog.recorder());
      Watchdog.Hang hang = hangs.poll(20, TimeUnit.SECONDS);
      assertNotNull(hang);
      assertEquals(1, hang.record().rank());
      assertEquals(Supervisor.HUNG, hang.exitCode());
    }
  }

  @Test
  void aRankThatGoesOnIsLeftAlone() throws Exception {
    BlockingQueue<Watchdog.Hang> hangs = new LinkedBlockingQueue<>();
    FlightRecorder recorder = new FlightRecorder(0, 2);
    try (Watchdog watchdog =
        Watchdog.start(recorder, folder, 1, Duration.ofMillis(2000), hangs::add)) {
      for (int step = 0; step < 25; step++) {
        watchdog.recorder().step(step, "forward");
        Thread.sleep(100);
      }
    }
    assertTrue(hangs.isEmpty());
    FlightRecord record = FlightRecord.read(folder, 0).orElseThrow();
    assertEquals(2, record.attempt());
    assertEquals(ProcessHandle.current().pid(), record.pid());
    assertTrue(record.step() > 5, record.toString());
    assertFalse(record.waiting());
  }
}
