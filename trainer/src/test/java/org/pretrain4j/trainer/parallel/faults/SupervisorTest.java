package org.pretrain4j.trainer.parallel.faults;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Ranks are small shell scripts, or JVMs where they must talk to each other. */
@Timeout(120)
class SupervisorTest {
  /** Writes this rank's record: whether it waits, and since when. */
  private static final String RECORD =
      """
      record() {
        printf '{"rank":%d,"attempt":%d,"pid":%d,"step":%d,"phase":"forward","collectives":%d,"collective":"barrier()","waiting":%s,"sinceMillis":%s,"beatMillis":%s}' \
          $RANK $PRETRAIN4J_ATTEMPT $$ $1 $2 $3 $4 $(date +%s%3N) > $PRETRAIN4J_RECORDS/part-$RANK
        mv $PRETRAIN4J_RECORDS/part-$RANK $PRETRAIN4J_RECORDS/rank-$RANK.json
      }
      """;

  @TempDir Path folder;
  private final List<String> output = Collections.synchronizedList(new ArrayList<>());

  private Supervisor supervisor(int ranks, int restarts, List<String> command) {
    return new Supervisor(
        new SupervisorConfig(
            ranks,
            1,
            command,
            Map.of("GREETING", "hello"),
            folder.resolve("records"),
            Duration.ofSeconds(4),
            Duration.ZERO,
            Duration.ofSeconds(2),
            restarts,
            Duration.ofMillis(20),
            Set.of(2, 4, 75)),
        output::add);
  }

  private Supervisor shell(int ranks, int restarts, String script) {
    return supervisor(ranks, restarts, List.of("sh", "-c", RECORD + script));
  }

  @Test
  void ranksGetTheirVariablesAndTheirOutputAPrefix() throws Exception {
    Supervisor.Outcome outcome =
        shell(
                2,
                0,
                "echo $GREETING $RANK of $WORLD_SIZE at $MASTER_ADDR attempt $PRETRAIN4J_ATTEMPT;"
                    + " test $MASTER_PORT -gt 0; test $LOCAL_RANK = $RANK")
            .run();
    assertEquals(0, outcome.exitCode());
    assertEquals(
        List.of(
            "[rank 0] hello 0 of 2 at 127.0.0.1 attempt 1",
            "[rank 1] hello 1 of 2 at 127.0.0.1 attempt 1"),
        output.stream().sorted().toList());
  }

  @Test
  void aKilledRankIsNamedTheOthersEndedAndTheRunStartedAgain() throws Exception {
    long start = System.nanoTime();
    Supervisor.Outcome outcome =
        shell(
                3,
                3,
                "test $PRETRAIN4J_ATTEMPT = 2 && exit 0; test $RANK = 1 && kill -9 $$; exec sleep"
                    + " 60")
            .run();
    assertEquals(0, outcome.exitCode());
    assertEquals(2, outcome.attempts().size());
    Supervisor.Attempt first = outcome.attempts().getFirst();
    assertEquals(1, first.rank());
    assertEquals("rank 1 was killed by signal 9 (SIGKILL; out of memory, perhaps)", first.reason());
    assertTrue(System.nanoTime() - start < 30e9, "the others were not ended");
  }

  @Test
  void theLastErrorOfTheFirstRankToFailIsTheReason() throws Exception {
    Supervisor.Outcome outcome =
        shell(2, 0, "test $RANK = 0 && sleep 60; echo error: the disk is full; exit 3").run();
    assertEquals(3, outcome.exitCode());
    assertEquals(
        "rank 1 ended with exit code 3: error: the disk is full",
        outcome.attempts().getFirst().reason());
  }

  @Test
  void aRankThatStaysWhileThoseThatWaitedForItLeaveHangs() throws Exception {
    Supervisor.Outcome outcome =
        shell(
                2,
                0,
                "record 5 $((7 - RANK)) $(test $RANK = 0 && echo true || echo false)"
                    + " $(date +%s%3N); sleep 1; test $RANK = 0 && exit 71; exec sleep 60")
            .run();
    assertEquals(Supervisor.HUNG, outcome.exitCode());
    assertEquals(1, outcome.attempts().getFirst().rank());
    String reason = outcome.attempts().getFirst().reason();
    assertTrue(reason.startsWith("the run hangs: rank 1 has not gone on for"), reason);
  }

  @Test
  void mistakesOfTheUserAreNotTriedAgain() throws Exception {
    Supervisor.Outcome outcome = shell(2, 5, "exit 2").run();
    assertEquals(2, outcome.exitCode());
    assertEquals(1, outcome.attempts().size());
  }

  @Test
  void storageThatRefusesIsTriedAgain() throws Exception {
    Supervisor.Outcome outcome = shell(1, 2, "test $PRETRAIN4J_ATTEMPT = 2 || exit 3").run();
    assertEquals(0, outcome.exitCode());
    assertEquals(2, outcome.attempts().size());
  }

  @Test
  void failuresInVainAreLimitedButProgressIsNot() throws Exception {
    Supervisor.Outcome vain = shell(1, 2, "exit 7").run();
    assertEquals(7, vain.exitCode());
    assertEquals(3, vain.attempts().size());
    Supervisor.Outcome progress =
        shell(
                1,
                1,
                "record $PRETRAIN4J_ATTEMPT 1 false $(date +%s%3N); test $PRETRAIN4J_ATTEMPT = 5"
                    + " && exit 0; exit 7")
            .run();
    assertEquals(0, progress.exitCode());
    assertEquals(5, progress.attempts().size());
    assertEquals(5, progress.attempts().getLast().step());
  }

  @Test
  void aRankThatKeepsTheOthersWaitingIsNamedAndKilled() throws Exception {
    Supervisor.Outcome outcome =
        shell(
                2,
                0,
                """
                since=$(date +%s%3N)
                while true; do
                  if [ $RANK = 0 ]; then record 4 9 true $since; else record 4 8 false $since; fi
                  sleep 0.3
                done
                """)
            .run();
    assertEquals(Supervisor.HUNG, outcome.exitCode());
    Supervisor.Attempt attempt = outcome.attempts().getFirst();
    assertEquals(1, attempt.rank());
    assertTrue(
        attempt.reason().startsWith("the run hangs: rank 1 has not gone on for"), attempt.reason());
  }

  @Test
  void aFrozenProcessIsNamedAndKilled() throws Exception {
    Supervisor.Outcome outcome =
        shell(
                2,
                0,
                """
                since=$(date +%s%3N)
                record 4 9 true $since
                if [ $RANK = 1 ]; then kill -STOP $$; fi
                while true; do record 4 9 true $(date +%s%3N); sleep 0.3; done
                """)
            .run();
    assertEquals(Supervisor.HUNG, outcome.exitCode());
    assertTrue(
        outcome.attempts().getFirst().reason().startsWith("the run hangs: rank 1 has been frozen"),
        outcome.attempts().getFirst().reason());
  }

  @Test
  void stoppingEndsTheRanksAndDoesNotStartThemAgain() throws Exception {
    Supervisor supervisor =
        shell(
            2, 5, "trap 'kill %1; sleep 0.2; echo saved; exit 75' TERM; echo up; sleep 60 & wait");
    Thread stopper =
        Thread.ofPlatform()
            .start(
                () -> {
                  while (output.size() < 2) {
                    Thread.onSpinWait();
                  }
                  supervisor.stop();
                });
    Supervisor.Outcome outcome = supervisor.run();
    stopper.join();
    assertEquals(75, outcome.exitCode());
    assertEquals(1, outcome.attempts().size());
    // What ranks say while they save is heard.
    long saved = output.stream().filter(line -> line.endsWith("saved")).count();
    assertEquals(2, saved, output::toString);
  }

  @Test
  void aRankEndsWithItsSupervisor() throws Exception {
    Process supervisor = new ProcessBuilder("sleep", "60").start();
    CountDownLatch ended = new CountDownLatch(1);
    String pid = Long.toString(supervisor.pid());
    Supervisor.endWith(Map.of(SupervisorConfig.SUPERVISOR, pid), ended::countDown);
    assertFalse(ended.await(200, TimeUnit.MILLISECONDS));
    supervisor.destroyForcibly();
    assertTrue(ended.await(20, TimeUnit.SECONDS));
    Supervisor.endWith(Map.of(), () -> fail("there is no supervisor"));
  }

  private Supervisor.Outcome supervised(String faults) throws Exception {
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-Xmx128m",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("java.class.path"),
            SupervisedRank.class.getName(),
            faults,
            folder.toString());
    return supervisor(2, 2, command).run();
  }

  @Test
  @Tag("slow")
  void aRunWithACrashAndAHangGoesOnToItsEnd() throws Exception {
    Supervisor.Outcome outcome = supervised("crash 5 1, hang 12 0");
    assertEquals(0, outcome.exitCode(), () -> String.join("\n", output));
    assertEquals(3, outcome.attempts().size(), () -> String.join("\n", output));
    assertEquals(1, outcome.attempts().get(0).rank());
    assertTrue(
        outcome.attempts().get(0).reason().startsWith("rank 1 was killed by signal 9"),
        outcome.attempts().get(0).reason());
    String hang = outcome.attempts().get(1).reason();
    assertTrue(hang.contains("rank 0"), hang);
    assertTrue(
        output.stream().anyMatch(line -> line.equals("[rank 0] sum after 20 steps: 60")),
        () -> String.join("\n", output));
  }
}
