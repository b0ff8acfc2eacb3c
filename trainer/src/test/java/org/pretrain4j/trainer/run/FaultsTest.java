package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.SoloCollectives;
import org.pretrain4j.trainer.parallel.faults.FlightRecord;

/** What one rank's trouble does to all of them, made on purpose in whole runs. */
final class FaultsTest {
  private static final int STEPS = 12;

  @TempDir private Path temp;

  private SmallRun run(String name, int ranks, int everySteps) {
    return new SmallRun(temp.resolve(name), STEPS, "fp32", ranks, everySteps);
  }

  private static SmallRun withFault(SmallRun run, String fault) {
    return run.with("faults: []", "faults: [{" + fault + "}]");
  }

  private static float[] masterWeights(SmallRun run, long step) {
    Checkpoint checkpoint = run.store().open(step);
    long elements = checkpoint.layout().elements();
    try (Arena arena = Arena.ofShared()) {
      MemorySegment values = arena.allocate(ValueLayout.JAVA_FLOAT, elements);
      checkpoint.read("master", new FlatRange(0, elements), values);
      return values.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private static List<Integer> skipped(SmallRun run) {
    return run.metrics().stream()
        .filter(line -> line.get("skipped").booleanValue())
        .map(line -> line.get("step").intValue())
        .toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"nan", "nan_gradient"})
  void aBadNumberOfOneRankMakesAllSkipTheSameStep(String kind) {
    SmallRun first = withFault(run("first", 3, 100), "kind: " + kind + ", step: 6, rank: 0");
    SmallRun last = withFault(run("last", 3, 100), "kind: " + kind + ", step: 6, rank: 2");
    assertTrue(first.train().complete());
    assertTrue(last.train().complete());
    assertEquals(List.of(7), skipped(first));
    assertEquals(List.of(7), skipped(last));
    // A rank that had applied the step, or skipped another one, would have other weights from here.
    assertEquals(first.stateHash(), last.stateHash());
    assertEquals(
        first.losses().subList(7, STEPS), last.losses().subList(7, STEPS), "after the fault");
    SmallRun healthy = run("healthy", 3, 100);
    healthy.train();
    assertEquals(healthy.losses().subList(0, 6), first.losses().subList(0, 6));
    assertNotEquals(healthy.stateHash(), first.stateHash());
  }

  @Test
  void aSkippedStepLeavesTheWeightsAsTheyWere() {
    SmallRun run = withFault(run("run", 2, 1), "kind: nan, step: 6, rank: 1");
    StopRequest afterSix = new StopRequest();
    run.train(
        Resume.AUTO,
        afterSix,
        metrics -> {
          if (metrics.step() == 5) {
            afterSix.stop();
          }
        });
    StopRequest afterOne = new StopRequest();
    TrainingListener stopsAtOnce =
        new TrainingListener() {
          @Override
          public void started(RunSummary summary) {
            afterOne.stop();
          }
        };
    new Trainer(run.config(), new TrainingOptions(Resume.REQUIRED, afterOne), stopsAtOnce).run();
    assertTrue(run.store().steps().containsAll(List.of(6L, 7L)), run.store().steps()::toString);
    assertEquals(List.of(7), skipped(run));
    assertArrayEquals(masterWeights(run, 6), masterWeights(run, 7));
  }

  @Test
  void aSkippedStepTookNoTimeOfTheOptimizer() throws InterruptedException {
    RunConfig config = withFault(run("run", 1, 100), "kind: nan, step: 1, rank: 0").config();
    ComputeThreads.set(1);
    List<Boolean> busy = new ArrayList<>();
    try (RankSigns signs = RankSigns.start(config, Map.of(), 0, 1, 1)) {
      Collectives collectives = signs.watch(new SoloCollectives());
      TokenStream stream = RunData.open(config, PreparationListener.NONE);
      try (RankTrainer rank =
          new RankTrainer(config, collectives, signs, stream, ComputeDevice.host(1))) {
        Duration limit = Duration.ofMinutes(1);
        rank.start(Optional.empty(), new LongWork(collectives, new StopRequest(), limit));
        for (int step = 0; step < 4; step++) {
          busy.add(rank.step(false).work().getFirst().optimizer() > 0);
        }
      }
    }
    // Each step tells of the one before it; the second one is skipped.
    assertEquals(List.of(false, true, false, true), busy);
  }

  @Test
  void theWindowOfLossesIsSavedStaysFiniteAndEndsWithItsStage() {
    String off = "action: \"ignore\"";
    SmallRun run =
        withFault(run("run", 2, 1), "kind: nan, step: 5, rank: 0")
            .with(off, "action: \"skip\"")
            .with("z_score: 6", "z_score: 50");
    assertTrue(run.train().complete());
    // Stage two begins after step 8; steps are kept in the last three checkpoints.
    List<Double> losses = run.losses();
    List<Double> saved = run.store().open(STEPS).state().spikeWindow();
    assertEquals(losses.subList(8, STEPS), saved);
    StopRequest stop = new StopRequest();
    SmallRun part =
        withFault(run("part", 2, 1), "kind: nan, step: 5, rank: 0")
            .with(off, "action: \"skip\"")
            .with("z_score: 6", "z_score: 50");
    part.train(
        Resume.AUTO,
        stop,
        metrics -> {
          if (metrics.step() == 6) {
            stop.stop();
          }
        });
    List<Double> window = part.store().open(7).state().spikeWindow();
    assertEquals(6, window.size(), "seven steps, one of them with a loss that is no number");
    assertTrue(window.stream().allMatch(Double::isFinite));
    assertTrue(part.train().complete());
    assertEquals(run.stateHash(), part.stateHash());
  }

  /** Losses that only vary, where any loss above its two predecessors is a spike. */
  private SmallRun runOfSpikes(String name, String action) {
    return run(name, 2, 100)
        .with("learning_rate: 0.003", "learning_rate: 1.0E-9")
        .with("max_skipped_steps: 5", "max_skipped_steps: 12")
        .with("action: \"ignore\"", "action: \"" + action + "\"")
        .with("window: 128", "window: 2")
        .with("z_score: 6", "z_score: 1.0E-6");
  }

  @Test
  void aSpikeIsSkippedOrStopsTheRunAsConfigured() {
    SmallRun skip = runOfSpikes("skip", "skip");
    assertTrue(skip.train().complete());
    List<Integer> spikes = skipped(skip);
    assertFalse(spikes.isEmpty(), "none of " + skip.losses());
    SmallRun stop = runOfSpikes("stop", "stop");
    DivergedException diverged = assertThrows(DivergedException.class, stop::train);
    assertTrue(
        diverged.getMessage().startsWith("step " + spikes.getFirst() + ": loss"),
        diverged.getMessage());
  }

  @Test
  void aSlowRankIsNamedWithItsPhase() {
    List<String> warnings = new ArrayList<>();
    SmallRun run =
        withFault(
            new SmallRun(temp.resolve("run"), 24, "fp32", 3, 100),
            "kind: slow, step: 0, rank: 2, steps: 24, seconds: 0.15");
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void warning(String message) {
            warnings.add(message);
          }
        };
    new Trainer(run.config(), new TrainingOptions(Resume.AUTO, new StopRequest()), listener).run();
    assertEquals(1, warnings.size(), warnings::toString);
    assertTrue(warnings.getFirst().startsWith("rank 2 lags: "), warnings.getFirst());
    assertTrue(warnings.getFirst().contains("most of it in data ("), warnings.getFirst());
    assertTrue(warnings.getFirst().contains("; it waits 0.0"), warnings.getFirst());
    List<JsonNode> steps = run.metrics();
    JsonNode last = steps.getLast();
    // Of most steps: in a single one a machine that does other things may hold up any rank.
    assertEquals(2, median(steps, "slowest_rank"));
    assertTrue(median(steps, "slowest_rank_seconds") >= 0.15, steps::toString);
    assertTrue(median(steps, "communication_seconds") >= 0.1, "rank 0 waits for it");
    // Eight rows for three ranks: two of them have three, and the third waits for a ninth.
    assertEquals(1 - 8 / 9.0, last.get("idle_share").doubleValue(), 1e-12);
  }

  @Test
  void thePhasesOfEveryRankTellWhoWaitsForWhom() throws Exception {
    SmallRun run =
        withFault(
            new SmallRun(temp.resolve("run"), 6, "fp32", 2, 100),
            "kind: slow, step: 0, rank: 1, steps: 6, seconds: 0.2");
    run.train();
    List<String> lines = Files.readAllLines(temp.resolve("run").resolve("ranks.jsonl"));
    assertEquals(1, lines.size(), lines::toString);
    JsonNode phases = new ObjectMapper().readTree(lines.getFirst());
    assertEquals(6, phases.get("step").intValue());
    for (String phase : List.of("data", "forward", "backward", "communication", "optimizer")) {
      assertEquals(2, phases.get(phase).size(), phase);
    }
    assertTrue(phases.get("data").get(1).doubleValue() > 0.15, phases::toString);
    // That of the first step is told with the second.
    JsonNode communication = phases.get("communication");
    assertTrue(communication.get(0).doubleValue() > 0.12, phases::toString);
    assertTrue(
        communication.get(1).doubleValue() < communication.get(0).doubleValue() / 2,
        phases::toString);
  }

  private static double median(List<JsonNode> steps, String key) {
    double[] values = steps.stream().mapToDouble(step -> step.get(key).doubleValue()).toArray();
    Arrays.sort(values);
    return values[values.length / 2];
  }

  @Test
  void everyRankLeavesItsRecord() throws Exception {
    SmallRun run = run("run", 3, 100);
    run.train();
    Path records = temp.resolve("run/records");
    for (int rank = 0; rank < 3; rank++) {
      FlightRecord record = FlightRecord.read(records, rank).orElseThrow();
      assertEquals(1, record.attempt());
      assertEquals(ProcessHandle.current().pid(), record.pid());
    }
    assertFalse(Files.exists(records.resolve("hang-rank-0.txt")));
  }
}
