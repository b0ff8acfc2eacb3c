package org.pretrain4j.launch;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** How to start this program once more, as one of several ranks of this machine. */
final class RankCommand {
  /** JVM options of commands that train, from the launcher. */
  private static final String TRAINING_OPTIONS = "pretrain4j.training.options";

  private static final String HEAP = "-XX:MaxRAMPercentage=";

  /** Shares of the machine's memory for the heap of one rank, and of all. */
  private static final double LARGEST_HEAP = 25;

  private static final double ALL_HEAPS = 50;

  private final List<String> start = new ArrayList<>();

  RankCommand(int ranks) {
    start.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (String option : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (option.startsWith("-Dpretrain4j.terminal=") || option.startsWith("-agentlib:jdwp")) {
        continue; // Output goes to a pipe, and a debugger's port can be taken only once.
      }
      start.add(option.startsWith(HEAP) ? heap(ranks) : option);
    }
    String training = System.getProperty(TRAINING_OPTIONS, "");
    if (!training.isBlank()) {
      start.addAll(List.of(training.strip().split("\\s+")));
    }
    start.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
  }

  private static String heap(int ranks) {
    return HEAP
        + String.format(
            Locale.ROOT, "%.2f", Math.min(LARGEST_HEAP, ALL_HEAPS / Math.max(1, ranks)));
  }

  /** The whole command line. */
  List<String> with(List<String> arguments) {
    List<String> all = new ArrayList<>(start);
    all.addAll(arguments);
    return all;
  }
}
