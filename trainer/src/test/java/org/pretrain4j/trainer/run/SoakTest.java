package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;

/** Ten thousand steps leave the process as large as it was after the first ones. */
@Tag("slow")
final class SoakTest {
  private static final int STEPS = 10_000;
  private static final int WARM = 4_000;

  /** What garbage collection and the compiler still move in 6,000 steps; 4 KB a step would show. */
  private static final long ALLOWANCE = 24L << 20;

  @TempDir private Path temp;

  @Test
  void residentMemoryIsFlatOverTenThousandSteps() {
    SmallRun small = new SmallRun(temp.resolve("run"), STEPS, "bf16", 1, 2_500);
    RunConfig tiny =
        ConfigurationReader.parse(
            RunConfig.class,
            ConfigurationWriter.toYaml(small.config())
                .replace("global_batch_tokens: 512", "global_batch_tokens: 64")
                .replace("micro_batch_size: 2", "micro_batch_size: 1")
                .replace("hidden_size: 32", "hidden_size: 16")
                .replace("head_dim: 8", "head_dim: 4"),
            "a very small model");
    long[] resident = new long[STEPS];
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void step(StepMetrics metrics) {
            resident[(int) metrics.step() - 1] = metrics.residentBytes();
          }
        };
    new Trainer(tiny, new TrainingOptions(Resume.AUTO, new StopRequest()), listener).run();
    long early = median(resident, WARM, WARM + 1_000);
    long late = median(resident, STEPS - 1_000, STEPS);
    System.out.printf("resident after %d steps %d, at the end %d%n", WARM, early, late);
    assertTrue(late - early < ALLOWANCE, "resident memory grew by " + (late - early) + " bytes");
  }

  private static long median(long[] values, int from, int to) {
    long[] part = Arrays.copyOfRange(values, from, to);
    Arrays.sort(part);
    return part[part.length / 2];
  }
}
