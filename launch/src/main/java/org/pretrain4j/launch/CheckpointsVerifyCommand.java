package org.pretrain4j.launch;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.CheckpointListing;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.configuration.UserException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Reads every byte of checkpoints and says which of them are good. */
@Command(
    name = "verify",
    header = "Reads every byte of checkpoints and checks it against its checksum.",
    description = "Ends with exit code 2 if one of them is damaged.")
final class CheckpointsVerifyCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "PATH",
      description = "A run's folder, one of checkpoints, or a single checkpoint.")
  private String path;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() {
    Optional<CheckpointFolder> single = CheckpointFolder.of(new Path(path));
    CheckpointStore store =
        single.isPresent()
            ? CheckpointStore.open(single.get().store())
            : CheckpointFolder.filledStoreAt(path);
    List<Long> steps = single.isPresent() ? List.of(single.get().open().step()) : store.steps();
    List<CheckpointRow> rows = new ArrayList<>();
    for (long step : steps) {
      rows.add(CheckpointRow.of(CheckpointListing.verify(store, step)));
    }
    if (json) {
      spec.commandLine().getOut().println(JsonOutput.of(rows));
    } else {
      TextTable table = CheckpointRow.table();
      rows.forEach(row -> row.addTo(table, "every byte is good"));
      table.lines().forEach(spec.commandLine().getOut()::println);
    }
    long damaged = rows.stream().filter(row -> row.problem() != null).count();
    if (damaged > 0) {
      throw new UserException(
          "%d of %d checkpoints in %s are damaged; train goes on from the newest good one"
              .formatted(damaged, rows.size(), store.root()));
    }
    return ExitCode.OK.number();
  }
}
