package org.pretrain4j.launch;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.RetentionPolicy;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Deletes old checkpoints. */
@Command(
    name = "prune",
    header = "Deletes the checkpoints that no rule keeps.",
    description =
        "The newest good one, every byte of which is verified first, always stays, and so do pinned"
            + " ones. Damaged ones are not counted as kept.",
    footer = {
      "",
      "Example:",
      "  pretrain4j checkpoints prune runs/quickstart --keep-last 2 --dry-run"
    })
final class CheckpointsPruneCommand implements Callable<Integer> {
  private static final Logger LOG = LogManager.getLogger(CheckpointsPruneCommand.class);

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "FOLDER", description = "A run's folder, or one of checkpoints.")
  private String folder;

  @Option(
      names = "--keep-last",
      paramLabel = "N",
      required = true,
      description = "Keep the newest N, at least 1.")
  private int keepLast;

  @Option(
      names = "--keep-every-steps",
      paramLabel = "N",
      defaultValue = "0",
      description = "Also keep those whose step is a multiple of N; 0 for none (default).")
  private long keepEverySteps;

  @Option(
      names = "--keep-seconds",
      paramLabel = "S",
      defaultValue = "0",
      description = "Also keep those younger than S seconds; 0 for none (default).")
  private long keepSeconds;

  @Option(names = "--dry-run", description = "Delete nothing, only say what would be deleted.")
  private boolean dryRun;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() {
    RetentionPolicy policy =
        new RetentionPolicy(keepLast, keepEverySteps, Duration.ofSeconds(keepSeconds));
    CheckpointStore store = CheckpointFolder.filledStoreAt(folder);
    List<Long> before = store.steps();
    List<Long> deleted =
        dryRun ? store.wouldDelete(policy, LOG::warn) : store.retain(policy, LOG::warn);
    List<Long> kept = before.stream().filter(step -> !deleted.contains(step)).toList();
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(JsonOutput.of(Map.of("deleted", deleted, "kept", kept, "dry_run", dryRun)));
    } else {
      out.println((dryRun ? "would delete  " : "deleted  ") + steps(deleted.reversed()));
      out.println((dryRun ? "would keep    " : "kept     ") + steps(kept));
    }
    return ExitCode.OK.number();
  }

  private static String steps(List<Long> steps) {
    return steps.isEmpty()
        ? "none"
        : String.join(" ", steps.stream().map(step -> Long.toString(step)).toList());
  }
}
