package org.pretrain4j.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * A job in JVMs of its own, killed by SIGKILL at random moments and started again, until its result
 * can be compared with that of an undisturbed one.
 */
public final class KilledProcess {
  /** What the main class prints when its work begins. */
  public static final String STARTED = "started";

  private static final long TIMEOUT_SECONDS = Long.getLong("timeout", 120);

  private final Class<?> main;
  private final Path folder;

  /**
   * @param main takes a folder, and the name of the folder in it where its result goes
   * @param folder for the results
   */
  public KilledProcess(Class<?> main, Path folder) {
    this.main = main;
    this.folder = folder;
  }

  /**
   * Kills as often as {@code -Dkills} says, 20 times by default, at moments drawn from {@code
   * -Dseed}; a job that ends between two kills is compared, and the next one begun. None may take
   * longer than {@code -Dtimeout} seconds.
   *
   * @param leastFiles that a result must have for the comparison to mean something
   */
  public void killAndCompare(int leastFiles) throws Exception {
    int kills = Integer.getInteger("kills", 20);
    long seed = Long.getLong("seed", System.nanoTime());
    Random random = new Random(seed);
    System.out.printf("-Dkills=%d -Dseed=%d -Dtimeout=%d%n", kills, seed, TIMEOUT_SECONDS);
    Process undisturbed = start("whole");
    long started = System.nanoTime();
    assertEquals(0, exitCode(undisturbed, "whole"));
    long millis = Math.max(2, (System.nanoTime() - started) / 1_000_000);
    assertTrue(files("whole").size() >= leastFiles, files("whole") + " after " + millis + " ms");
    int killed = 0;
    int jobs = 0;
    while (killed < kills) {
      Process process = start("killed-" + jobs);
      try {
        if (process.waitFor(1 + random.nextLong(millis), TimeUnit.MILLISECONDS)) {
          compare(process, "killed-" + jobs++, seed);
        } else {
          killed++;
        }
      } finally {
        process.destroyForcibly().waitFor();
      }
    }
    Process last = start("killed-" + jobs);
    exitCode(last, "killed-" + jobs);
    compare(last, "killed-" + jobs, seed);
    System.out.printf("seed %d: %d kills in %d jobs of %d ms%n", seed, killed, jobs + 1, millis);
  }

  private static int exitCode(Process process, String result) throws InterruptedException {
    try {
      assertTrue(
          process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS), result + " takes too long: a hang?");
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  private TreeSet<String> files(String result) throws IOException {
    try (var files = Files.list(folder.resolve(result))) {
      return new TreeSet<>(
          files
              .map(file -> file.getFileName().toString())
              .filter(name -> !name.endsWith(".lock"))
              .toList());
    }
  }

  private void compare(Process process, String result, long seed) throws Exception {
    assertEquals(0, process.exitValue(), "seed " + seed + ", " + result);
    assertEquals(files("whole"), files(result), "seed " + seed);
    for (String name : files(result)) {
      Path file = folder.resolve(result).resolve(name);
      assertEquals(
          -1, Files.mismatch(folder.resolve("whole").resolve(name), file), "seed " + seed + file);
    }
  }

  /** Returns when the work begins. */
  private Process start(String result) throws Exception {
    List<String> command =
        List.of(
            System.getProperty("java.home") + "/bin/java",
            "-Xmx64m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            main.getName(),
            folder.toString(),
            result);
    Process process =
        new ProcessBuilder(new ArrayList<>(command))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    // A process that hangs before its work is ended, which ends its output.
    CompletableFuture<Void> watch =
        CompletableFuture.runAsync(
            process::destroyForcibly,
            CompletableFuture.delayedExecutor(TIMEOUT_SECONDS, TimeUnit.SECONDS));
    BufferedReader out =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    String line = out.readLine();
    while (line != null && !line.equals(STARTED)) {
      line = out.readLine();
    }
    watch.cancel(false);
    assertEquals(STARTED, line, "the process ended before its work began");
    return process;
  }
}
