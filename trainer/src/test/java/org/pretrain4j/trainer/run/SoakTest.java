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
import java.util.stream.Collectors;
import java.util.stream.IntStream;
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
  private static final int FIRST = 4_000;
  private static final int PART = 2_000;

  /**
   * What the compiler and the C library's arenas move by themselves, as seen in runs that leak
   * nothing; 4 KB for each step of a part. Leaked handles are counted elsewhere.
   */
  private static final long ALLOWANCE = PART * 4_096L;

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
    long[] sizes =
        Arrays.stream(output.lines().toList().getLast().split(" "))
            .mapToLong(Long::parseLong)
            .toArray();
    System.out.println("resident from step " + FIRST + " on: " + Arrays.toString(sizes));
    assertEquals((STEPS - FIRST) / PART + 1, sizes.length, output);
    assertTrue(sizes[0] > 0, output);
    // A leak grows in every part; compilers come late on a busy machine, and malloc gives back,
    // once.
    long[] grown = new long[sizes.length - 1];
    Arrays.setAll(grown, i -> sizes[i + 1] - sizes[i]);
    long usual = median(grown, 0, grown.length);
    assertTrue(usual < ALLOWANCE, "resident memory grew by " + Arrays.toString(grown));
  }

  /** Trains in the folder that is given, and prints the resident memory between its parts. */
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
        IntStream.iterate(FIRST, end -> end <= STEPS, end -> end + PART)
            .mapToObj(end -> Long.toString(median(resident, end - PART / 4, end)))
            .collect(Collectors.joining(" ")));
  }

  private static long median(long[] values, int from, int to) {
    long[] part = Arrays.copyOfRange(values, from, to);
    Arrays.sort(part);
    return part[part.length / 2];
  }
}
