package org.pretrain4j.launch;

import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.pretrain4j.checkpoints.CheckpointDiff;
import org.pretrain4j.checkpoints.CheckpointDiff.Differences;
import org.pretrain4j.checkpoints.CheckpointDiff.TensorDifference;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Compares two checkpoints bit by bit. */
@Command(
    name = "diff",
    header = "Compares two checkpoints: parameters, values bit by bit, and state.",
    description = "The number of ranks that wrote them makes no difference.",
    footer = {
      "",
      "Example:",
      "  pretrain4j checkpoints diff runs/a/checkpoints/step-0000000300 \\",
      "      runs/b/checkpoints/step-0000000300"
    })
final class CheckpointsDiffCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "CHECKPOINT", description = "The first one.")
  private String first;

  @Parameters(index = "1", paramLabel = "CHECKPOINT", description = "The second one.")
  private String second;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() {
    Differences differences =
        CheckpointDiff.compare(CheckpointFolder.open(first), CheckpointFolder.open(second));
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(JsonOutput.of(differences));
    } else if (differences.none()) {
      out.println("no difference");
    } else {
      print(differences, out);
    }
    return ExitCode.OK.number();
  }

  private static void print(Differences differences, PrintWriter out) {
    differences.structure().forEach(out::println);
    differences.state().forEach((field, values) -> printState(field, values, out));
    if (differences.tensors().isEmpty()) {
      return;
    }
    TextTable table = new TextTable("values", "parameter", " differing", " of", " at most");
    for (TensorDifference tensor : differences.tensors()) {
      table.add(
          tensor.kind(),
          tensor.parameter(),
          HumanUnits.exact(tensor.differing()),
          HumanUnits.exact(tensor.elements()),
          String.format(Locale.ROOT, "%.3g", tensor.largest()));
    }
    table.lines().forEach(out::println);
  }

  /** Of a text of many lines those that only one side has. */
  private static void printState(String field, List<String> values, PrintWriter out) {
    List<String> left = values.get(0).lines().toList();
    List<String> right = values.get(1).lines().toList();
    if (left.size() <= 1 && right.size() <= 1) {
      out.println(field + ": " + values.get(0) + " -> " + values.get(1));
      return;
    }
    out.println(field + ":");
    left.stream().filter(line -> !right.contains(line)).forEach(line -> out.println("- " + line));
    right.stream().filter(line -> !left.contains(line)).forEach(line -> out.println("+ " + line));
  }
}
