package org.pretrain4j.launch;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.UnaryOperator;

/** How to start this program once more, as one of several ranks of this machine. */
final class RankCommand {
  /** JVM options of commands that train, from the launcher. */
  private static final String TRAINING_OPTIONS = "pretrain4j.training.options";

  private static final String HEAP = "-XX:MaxRAMPercentage=";

  /** Shares of the machine's memory for the heap of one rank, and of all. */
  private static final double LARGEST_HEAP = 25;

  private static final double ALL_HEAPS = 50;

  private static final String PROCESSORS = "-XX:ActiveProcessorCount=";

  private final List<String> start = new ArrayList<>();

  /**
   * @param options of this JVM as the other one gets them, null for one that it does not get
   * @param more options of its own
   */
  private RankCommand(UnaryOperator<String> options, List<String> more) {
    start.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        // Output goes to a pipe, and a debugger's port can be taken only once.
        .filter(option -> !option.startsWith("-Dpretrain4j.terminal="))
        .filter(option -> !option.startsWith("-agentlib:jdwp"))
        .map(options)
        .filter(Objects::nonNull)
        .forEach(start::add);
    start.addAll(more);
    start.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
  }

  /** As one of so many processes that train, and share the machine's memory. */
  static RankCommand training(int processes) {
    String training = System.getProperty(TRAINING_OPTIONS, "");
    return new RankCommand(
        option -> option.startsWith(HEAP) ? heap(processes) : option,
        training.isBlank() ? List.of() : List.of(training.strip().split("\\s+")));
  }

  /** As a process that sees so many processors. */
  static RankCommand measuring(int processors) {
    return new RankCommand(
        option -> option.startsWith(PROCESSORS) ? null : option, List.of(PROCESSORS + processors));
  }

  private static String heap(int processes) {
    return HEAP
        + String.format(
            Locale.ROOT, "%.2f", Math.min(LARGEST_HEAP, ALL_HEAPS / Math.max(1, processes)));
  }

  /** The whole command line. */
  List<String> with(List<String> arguments) {
    List<String> all = new ArrayList<>(start);
    all.addAll(arguments);
    return all;
  }
}
