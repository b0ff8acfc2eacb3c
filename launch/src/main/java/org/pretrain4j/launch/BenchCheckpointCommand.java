package org.pretrain4j.launch;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.bench.CheckpointBench;
import org.pretrain4j.trainer.bench.CheckpointBenchReport;
import org.pretrain4j.trainer.bench.Shape;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures saving and loading against what the disk can do. */
@Command(
    name = "checkpoint",
    header = "Measures saving and loading against plain writing and reading on the same disk.",
    description = {
      "Plain writing is one file of the same bytes, synced; plain reading is from that file, with the"
          + " page cache emptied where GNU's dd is there to do it. Each measurement has its plain"
          + " neighbour, and the median of their ratios is reported."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j bench checkpoint",
      "  pretrain4j bench checkpoint --folder /mnt/data --shape 135m --repetitions 5"
    })
final class BenchCheckpointCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--shape",
      paramLabel = "NAME",
      defaultValue = "135m",
      description =
          "Whose state is saved: layer-3b, 135m-6-layers, 135m, tiny (default: ${DEFAULT-VALUE}).")
  private String shape;

  @Option(
      names = "--folder",
      paramLabel = "FOLDER",
      defaultValue = ".",
      description = "On the disk to measure (default: the current one).")
  private Path folder;

  @Option(
      names = "--repetitions",
      paramLabel = "N",
      defaultValue = "3",
      description = "Saves that count, after one that does not (default: ${DEFAULT-VALUE}).")
  private int repetitions;

  @Option(
      names = "--every-steps",
      paramLabel = "N",
      defaultValue = "2000",
      description =
          "Steps between two saves, for the share of training (default: ${DEFAULT-VALUE}).")
  private long everySteps;

  @Option(
      names = "--staging-bytes",
      paramLabel = "BYTES",
      defaultValue = "4000000000",
      description = "Limit of the memory for staging (default: ${DEFAULT-VALUE}).")
  private long stagingBytes;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the report to this file.")
  private Path json;

  @Override
  public Integer call() throws IOException {
    if (repetitions < 1 || everySteps < 1 || stagingBytes < 1) {
      throw new UserException(
          "--repetitions %d, --every-steps %d and --staging-bytes %d must be at least 1"
              .formatted(repetitions, everySteps, stagingBytes));
    }
    CheckpointBenchReport report =
        CheckpointBench.run(Shape.named(shape), folder, repetitions, stagingBytes);
    line("state", "%s of the shape %s", HumanUnits.bytes(report.stateBytes()), report.shape());
    line("staging", "%s of memory", HumanUnits.bytes(report.stagingBytes()));
    line(
        "steps held up",
        "%.3f s a save (the first %.3f s): %.4f%% of training at %d steps of %.2f s between saves",
        report.blockedSeconds(),
        report.firstBlockedSeconds(),
        100 * report.blockedShare(everySteps),
        everySteps,
        report.stepSeconds());
    line(
        "write",
        "%s/s, plain %s/s: %.0f%%",
        HumanUnits.bytes(report.writeRate()),
        HumanUnits.bytes(report.plainWriteRate()),
        100 * report.writeShare());
    line(
        "read",
        "%s/s, plain %s/s: %.0f%%%s",
        HumanUnits.bytes(report.readRate()),
        HumanUnits.bytes(report.plainReadRate()),
        100 * report.readShare(),
        report.cacheEmptied() ? "" : " (from the page cache, which could not be emptied)");
    if (json != null) {
      Files.writeString(json, JsonOutput.of(report) + System.lineSeparator());
    }
    return ExitCode.OK.number();
  }

  private void line(String what, String format, Object... values) {
    PrintWriter out = spec.commandLine().getOut();
    out.println(
        String.format(Locale.ROOT, "%-14s ", what) + String.format(Locale.ROOT, format, values));
    out.flush();
  }
}
