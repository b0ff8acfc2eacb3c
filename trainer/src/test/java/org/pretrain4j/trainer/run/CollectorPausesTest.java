package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.stream.Row;

final class CollectorPausesTest {
  @TempDir private Path folder;

  /** Collects within the first twenty steps, and after each of the next twenty. */
  @Test
  void aRanksPausesAreThoseOfItsStepsAndTheMetricsHaveAll() throws Exception {
    SmallRun run = new SmallRun(folder.resolve("run"), 40, "fp32", 1, 100);
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void rows(long step, int rank, List<Row> rows) {
            if (step < 20) {
              System.gc();
            }
          }

          @Override
          public void step(StepMetrics metrics) {
            if (metrics.step() > 20) {
              System.gc();
            }
          }
        };
    new Trainer(run.config(), new TrainingOptions(Resume.AUTO, new StopRequest()), listener).run();
    List<String> lines = Files.readAllLines(folder.resolve("run").resolve("ranks.jsonl"));
    assertEquals(2, lines.size(), lines::toString);
    JsonNode within = new ObjectMapper().readTree(lines.get(0));
    JsonNode between = new ObjectMapper().readTree(lines.get(1));
    // A step is told of with the next one: the first line lacks its last step, the second has it.
    double first = 20 * seconds(within, "garbage_collection");
    double second = 20 * seconds(between, "garbage_collection");
    double all = 0;
    for (JsonNode step : run.metrics()) {
      all += step.get("garbage_collection_seconds").doubleValue();
    }
    assertTrue(seconds(within, "most_garbage_collection") >= 0.001, within::toString);
    assertTrue(first >= 19 * 0.001, within::toString);
    // Twenty collections that belong to no step are in the metrics only, but for the last one.
    double missing = all - first - second;
    assertTrue(missing >= 19 * 0.001, all + " of which " + first + " and " + second);
    assertTrue(second < missing, all + " of which " + first + " and " + second);
  }

  private static double seconds(JsonNode line, String key) {
    assertEquals(1, line.get(key).size());
    return line.get(key).get(0).doubleValue();
  }
}
