package org.pretrain4j.data;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;

/** Runs a main class in JVMs of its own, and kills them at random moments until told otherwise. */
public final class KilledProcess {
  /** What the main class prints when its work begins. */
  public static final String STARTED = "started";

  private KilledProcess() {}

  /**
   * Starts the program again and again; the first kills are by SIGKILL some random time after its
   * work began, the last run may finish.
   *
   * @return how many runs were killed before they finished by themselves
   */
  public static int run(Class<?> main, int kills, int maxMillis, long seed, String... arguments)
      throws Exception {
    Random random = new Random(seed);
    int killed = 0;
    for (int i = 0; i < kills; i++) {
      Process process = start(main, arguments);
      try {
        awaitStart(process);
        if (!process.waitFor(random.nextInt(maxMillis), TimeUnit.MILLISECONDS)) {
          killed++;
        }
      } finally {
        process.destroyForcibly().waitFor();
      }
    }
    Process last = start(main, arguments);
    awaitStart(last);
    assertEquals(0, last.waitFor(), "seed " + seed);
    return killed;
  }

  private static Process start(Class<?> main, String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(System.getProperty("java.home") + "/bin/java");
    command.addAll(
        List.of(
            "-Xmx256m",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            main.getName()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
  }

  private static void awaitStart(Process process) throws Exception {
    BufferedReader out =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    String line = out.readLine();
    while (line != null && !line.equals(STARTED)) {
      line = out.readLine();
    }
    assertEquals(STARTED, line, "the process ended before its work began");
  }
}
