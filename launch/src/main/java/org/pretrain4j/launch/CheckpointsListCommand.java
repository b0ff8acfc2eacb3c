package org.pretrain4j.launch;

import java.util.List;
import java.util.concurrent.Callable;
import org.pretrain4j.checkpoints.CheckpointListing;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Shows which checkpoints there are. */
@Command(
    name = "list",
    header = "Shows the checkpoints of a folder, damaged ones too.",
    description = "Checks that all files are there with their sizes; verify reads them.")
final class CheckpointsListCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "FOLDER", description = "A run's folder, or one of checkpoints.")
  private String folder;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() {
    List<CheckpointRow> rows =
        CheckpointListing.list(CheckpointFolder.filledStoreAt(folder)).stream()
            .map(CheckpointRow::of)
            .toList();
    if (json) {
      spec.commandLine().getOut().println(JsonOutput.of(rows));
    } else {
      TextTable table = CheckpointRow.table();
      rows.forEach(row -> row.addTo(table, "complete"));
      table.lines().forEach(spec.commandLine().getOut()::println);
    }
    return ExitCode.OK.number();
  }
}
