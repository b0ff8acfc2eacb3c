package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;

/**
 * Ten thousand steps leave a process as large as it was after the first ones. The process has a
 * small heap of a fixed size: less would overflow if the heap leaked, more would hide it.
 */
@Tag("slow")
final class SoakTest {
  private static final int STEPS = 10_000;
  private static final int WARM = 5_000;

  /**
   * What the compiler and the C library's arenas move by themselves, as seen in runs that leak
   * nothing; about 4 KB for each of the steps in between. Leaked handles are counted elsewhere.
   */
  private static final long ALLOWANCE = 16L << 20;

  @TempDir private Path temp;

  @Test
  void residentMemoryIsFlatOverTenThousandSteps() throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(argument -> argument.startsWith("--") || argument.startsWith("-XX:CompileCommand"))
        .forEach(command::add);
    command.addAll(
        List.of(
            // The whole heap is touched at once, so what grows later is native.
            "-XX:+UseSerialGC",
            "-Xms160m",
            "-Xmx160m",
            "-XX:+AlwaysPreTouch",
            "-cp",
            System.getProperty("java.class.path"),
            SoakTest.class.getName(),
            temp.resolve("run").toString()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    String[] sizes = output.lines().toList().getLast().split(" ");
    long early = Long.parseLong(sizes[0]);
    long late = Long.parseLong(sizes[1]);
    System.out.printf("resident after %d steps %d, at the end %d%n", WARM, early, late);
    assertTrue(early > 0, output);
    assertTrue(late - early < ALLOWANCE, "resident memory grew by " + (late - early) + " bytes");
  }

  /** Trains in the folder that is given, and prints the resident memory early and late. */
  public static void main(String[] arguments) {
    SmallRun small = new SmallRun(Path.of(arguments[0]), STEPS, "bf16", 1, 2_500);
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
    System.out.println(
        median(resident, WARM, WARM + 1_000) + " " + median(resident, STEPS - 1_000, STEPS));
  }

  private static long median(long[] values, int from, int to) {
    long[] part = Arrays.copyOfRange(values, from, to);
    Arrays.sort(part);
    return part[part.length / 2];
  }
}
