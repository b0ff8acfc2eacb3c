package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.libtorch.Tensor;

final class TrainerTest {
  private static final int STEPS = 18;

  @TempDir private Path temp;

  private static final class Crash extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  @ParameterizedTest
  @CsvSource({"bf16, 1", "fp32, 2"})
  void aCrashedRunGoesOnToTheSameBitsAsAnUninterruptedOne(String precision, int ranks) {
    long seed = 5;
    System.out.println("seed " + seed);
    SmallRun whole = new SmallRun(temp.resolve("whole"), STEPS, precision, ranks, 4);
    assertTrue(whole.train().complete());

    Random random = new Random(seed);
    SmallRun broken = new SmallRun(temp.resolve("broken"), STEPS, precision, ranks, 4);
    for (int crash = 0; crash < 3; crash++) {
      long at = 1 + random.nextInt(STEPS - 1);
      try {
        broken.train(
            Resume.AUTO,
            metrics -> {
              if (metrics.step() == at) {
                throw new Crash();
              }
            });
      } catch (Crash e) {
        assertNotEquals(List.of(), broken.metrics());
      }
    }
    assertTrue(broken.train().complete());
    assertEquals(whole.losses(), broken.losses());
    assertEquals(whole.stateHash(), broken.stateHash());
  }

  @Test
  void aRequestedStopSavesTheStepItStoppedAfterAndTheRunGoesOnExactly() {
    SmallRun whole = new SmallRun(temp.resolve("whole"), STEPS, "bf16", 1, 100);
    whole.train();
    SmallRun stopped = new SmallRun(temp.resolve("stopped"), STEPS, "bf16", 1, 100);
    StopRequest stop = new StopRequest();
    TrainingResult first =
        stopped.train(
            Resume.AUTO,
            stop,
            metrics -> {
              if (metrics.step() == 6) {
                stop.stop();
              }
            });
    assertFalse(first.complete());
    assertEquals(7, first.steps());
    assertEquals(List.of(7L), stopped.store().steps());
    assertTrue(stopped.train().complete());
    assertEquals(whole.losses(), stopped.losses());
    assertEquals(whole.stateHash(), stopped.stateHash());
  }

  @Test
  void aStopWhileTheDataIsPreparedEndsTheRunBeforeItsFirstStep() {
    SmallRun run = new SmallRun(temp.resolve("run"), STEPS, "bf16", 2, 100);
    StopRequest stop = new StopRequest();
    stop.stop();
    TrainingResult stopped = run.train(Resume.AUTO, stop, metrics -> fail("a step was done"));
    assertFalse(stopped.complete());
    assertEquals(0, stopped.steps());
    assertEquals(List.of(), run.store().steps());
    assertTrue(run.train(Resume.NEVER, metrics -> {}).complete(), "nothing was begun");
  }

  @Test
  void theNumberOfRanksChangesNoLossBeyondRounding() {
    List<List<Double>> losses = new ArrayList<>();
    for (int ranks : new int[] {1, 2, 3, 4}) {
      SmallRun run = new SmallRun(temp.resolve("ranks" + ranks), STEPS, "fp32", ranks, 100);
      run.train();
      losses.add(run.losses());
    }
    for (List<Double> other : losses) {
      for (int step = 0; step < STEPS; step++) {
        double expected = losses.getFirst().get(step);
        assertEquals(expected, other.get(step), 2e-5 * expected, "step " + (step + 1));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4})
  void theSameRunTwiceGivesTheSameBits(int ranks) {
    SmallRun one = new SmallRun(temp.resolve("one"), STEPS, "bf16", ranks, 100);
    SmallRun two = new SmallRun(temp.resolve("two"), STEPS, "bf16", ranks, 100);
    one.train();
    two.train();
    assertEquals(one.losses(), two.losses());
    assertEquals(one.stateHash(), two.stateHash());
  }

  @Test
  void aCheckpointOfFourRanksGoesOnWithTwoThenThreeThenOne() {
    SmallRun whole = new SmallRun(temp.resolve("whole"), STEPS, "fp32", 1, 100);
    whole.train();
    Path folder = temp.resolve("changing");
    int[] worlds = {4, 2, 3, 1};
    for (int i = 0; i < worlds.length; i++) {
      SmallRun run = new SmallRun(folder, STEPS, "fp32", worlds[i], 4);
      StopRequest stop = new StopRequest();
      long until = i < worlds.length - 1 ? 4L * (i + 1) - 1 : STEPS;
      run.train(
          Resume.AUTO,
          stop,
          metrics -> {
            if (metrics.step() == until) {
              stop.stop();
            }
          });
    }
    SmallRun last = new SmallRun(folder, STEPS, "fp32", 1, 4);
    List<Double> losses = last.losses();
    for (int step = 0; step < STEPS; step++) {
      double expected = whole.losses().get(step);
      assertEquals(expected, losses.get(step), 2e-5 * expected, "step " + (step + 1));
    }
  }

  @Test
  void metricsNameStagesSharesAndTheScheduleOfTheLearningRate() {
    SmallRun run = new SmallRun(temp.resolve("run"), STEPS, "bf16", 1, 100);
    run.train();
    List<JsonNode> lines = run.metrics();
    assertEquals(STEPS, lines.size());
    assertEquals("first", lines.get(11).get("stage").textValue());
    assertEquals("second", lines.get(12).get("stage").textValue());
    assertEquals(0, lines.get(0).get("lr").doubleValue());
    assertEquals(1.5e-3, lines.get(1).get("lr").doubleValue());
    assertEquals(3e-3, lines.get(2).get("lr").doubleValue());
    assertEquals(512L * STEPS, lines.getLast().get("tokens").longValue());
    assertEquals(0.9, lines.get(11).get("shares").get("sums").doubleValue(), 0.01);
    assertEquals(0.5, lines.getLast().get("shares").get("more").doubleValue(), 0.01);
    for (String key :
        List.of(
            "grad_norm", "seconds", "tokens_per_second", "mfu", "data_wait_seconds", "skipped")) {
      assertTrue(lines.getLast().hasNonNull(key), key);
    }
    assertTrue(
        lines.getLast().get("loss").doubleValue() < lines.getFirst().get("loss").doubleValue());
  }

  @Test
  void aRunWhoseNumbersBlowUpStopsAndItsCheckpointsStay() throws IOException {
    SmallRun run = new SmallRun(temp.resolve("run"), STEPS, "fp32", 2, 1);
    StopRequest stop = new StopRequest();
    run.train(
        Resume.AUTO,
        stop,
        metrics -> {
          if (metrics.step() == 2) {
            stop.stop();
          }
        });
    // The next update multiplies the decayed weights by -1e29: all that follows is not finite.
    RunConfig wild =
        ConfigurationReader.parse(
            RunConfig.class,
            ConfigurationWriter.toYaml(run.config())
                .replace("learning_rate: 0.003", "learning_rate: 1.0e+30"),
            "a wild configuration");
    assertNotEquals(run.config(), wild);
    UserException stopped =
        assertThrows(
            UserException.class,
            () ->
                new Trainer(
                        wild,
                        new TrainingOptions(Resume.REQUIRED, new StopRequest()),
                        new TrainingListener() {})
                    .run());
    assertTrue(stopped.getMessage().contains("not finite"), stopped.getMessage());
    assertTrue(stopped.getMessage().contains("5 skipped steps in a row"), stopped.getMessage());
    List<JsonNode> lines = run.metrics();
    JsonNode last = lines.getLast();
    assertTrue(last.get("loss").isNull() || last.get("grad_norm").isNull(), last.toString());
    assertTrue(run.store().steps().contains(3L), "the checkpoint from before stays");
    assertTrue(Files.readString(temp.resolve("run/metrics.jsonl")).contains("\"skipped\":true"));
  }

  @Test
  void aRunThatIsThereIsNeitherOverwrittenNorChangedSilently() {
    SmallRun run = new SmallRun(temp.resolve("run"), STEPS, "bf16", 1, 6);
    run.train();
    String before = run.stateHash();
    UserException refused =
        assertThrows(UserException.class, () -> run.train(Resume.NEVER, metrics -> {}));
    assertTrue(refused.getMessage().contains("already holds a run"), refused.getMessage());
    RunConfig other =
        ConfigurationReader.parse(
            RunConfig.class,
            ConfigurationWriter.toYaml(run.config()).replace("seed: 11", "seed: 12"),
            "another configuration");
    UserException changed =
        assertThrows(
            UserException.class,
            () ->
                new Trainer(
                        other,
                        new TrainingOptions(Resume.AUTO, new StopRequest()),
                        new TrainingListener() {})
                    .run());
    assertTrue(changed.getMessage().contains("seed"), changed.getMessage());
    RunConfig unmasked =
        ConfigurationReader.parse(
            RunConfig.class,
            ConfigurationWriter.toYaml(run.config())
                .replace("intra_document_masking: true", "intra_document_masking: false"),
            "a configuration without masking");
    changed =
        assertThrows(
            UserException.class,
            () ->
                new Trainer(
                        unmasked,
                        new TrainingOptions(Resume.AUTO, new StopRequest()),
                        new TrainingListener() {})
                    .run());
    assertTrue(changed.getMessage().contains("intra_document_masking"), changed.getMessage());
    assertEquals(before, run.stateHash());
  }

  @Test
  void tokensThatChangedSinceTheCheckpointAreRefused() throws IOException {
    SmallRun run = new SmallRun(temp.resolve("run"), STEPS, "bf16", 1, 6);
    StopRequest stop = new StopRequest();
    run.train(
        Resume.AUTO,
        stop,
        metrics -> {
          if (metrics.step() == 3) {
            stop.stop();
          }
        });
    SmallRun other = new SmallRun(temp.resolve("other"), STEPS, "bf16", 1, 6, 77);
    other.train();
    Path mine = temp.resolve("run/data/sums");
    Files.move(mine, temp.resolve("moved"));
    Files.move(temp.resolve("other/data/sums"), mine);
    UserException refused = assertThrows(UserException.class, run::train);
    assertTrue(refused.getMessage().contains("the tokens of sums"), refused.getMessage());
  }

  @Test
  void aRunIsRequiredWhereOneIsRequired() {
    SmallRun run = new SmallRun(temp.resolve("run"), STEPS, "bf16", 1, 6);
    UserException missing =
        assertThrows(UserException.class, () -> run.train(Resume.REQUIRED, metrics -> {}));
    assertTrue(missing.getMessage().contains("no checkpoint"), missing.getMessage());
  }

  @Test
  void nothingNativeOutlivesARun() {
    long before = Tensor.live();
    new SmallRun(temp.resolve("run"), 4, "bf16", 2, 100).train();
    assertEquals(before, Tensor.live());
  }
}
