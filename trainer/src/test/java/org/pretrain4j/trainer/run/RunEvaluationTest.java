package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Evaluation within a run leaves the run as it is. */
final class RunEvaluationTest {
  private static final int STEPS = 12;
  private static final String EVALUATION =
      """
      evaluation:
        every_steps: 5
        datasets: {held: {synthetic: arithmetic, documents: 25}}
      """;

  @TempDir private Path temp;

  private static final class Crash extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  private SmallRun run(String name, String precision, int ranks) {
    return new SmallRun(temp.resolve(name), STEPS, precision, ranks, 4);
  }

  private SmallRun evaluated(String name, String precision, int ranks) {
    return run(name, precision, ranks).with("evaluation: null\n", EVALUATION);
  }

  /** The lines of the log without their times. */
  private List<JsonNode> lines(String name) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(temp.resolve(name).resolve("evaluations.jsonl"))) {
      ObjectNode json = (ObjectNode) new ObjectMapper().readTree(line);
      assertTrue(json.remove("seconds").doubleValue() > 0);
      lines.add(json);
    }
    return lines;
  }

  @ParameterizedTest
  @CsvSource({"bf16, 1", "fp32, 2"})
  void theRunIsTheSameToTheBitAndTheScoresAreLoggedOnce(String precision, int ranks)
      throws IOException {
    SmallRun plain = run("plain", precision, ranks);
    plain.train();
    SmallRun whole = evaluated("whole", precision, ranks);
    whole.train();
    assertEquals(plain.losses(), whole.losses());
    assertEquals(plain.stateHash(), whole.stateHash());
    List<JsonNode> lines = lines("whole");
    assertEquals(List.of(5, 10, 12), lines.stream().map(line -> line.get("step").asInt()).toList());
    double first = lines.getFirst().at("/datasets/held/loss").doubleValue();
    double last = lines.getLast().at("/datasets/held/loss").doubleValue();
    assertTrue(last < first && last > 0, first + " to " + last);

    SmallRun broken = evaluated("broken", precision, ranks);
    assertThrows(
        Crash.class,
        () ->
            broken.train(
                Resume.AUTO,
                metrics -> {
                  if (metrics.step() == 11) {
                    throw new Crash();
                  }
                }));
    assertEquals(2, lines("broken").size());
    broken.train();
    assertEquals(lines, lines("broken"));
  }

  @ParameterizedTest
  @CsvSource({"1, 4", "1, 5", "2, 5"})
  void aStopBeforeOrWithinAnEvaluationIsObeyedAtOnceAndTheEvaluationMadeUpFor(int ranks, int when)
      throws IOException {
    SmallRun whole = evaluated("whole", "fp32", ranks);
    whole.train();
    SmallRun stopped = evaluated("stopped", "fp32", ranks);
    StopRequest stop = new StopRequest();
    TrainingResult first =
        stopped.train(
            Resume.AUTO,
            stop,
            metrics -> {
              if (metrics.step() == when) {
                stop.stop();
              }
            });
    assertEquals(5, first.steps());
    assertFalse(first.complete());
    assertEquals(List.of(4L, 5L), stopped.store().steps());
    assertEquals(List.of(), lines("stopped"));
    assertTrue(stopped.train().complete());
    assertEquals(lines("whole"), lines("stopped"));
    assertEquals(whole.stateHash(), stopped.stateHash());
  }
}
