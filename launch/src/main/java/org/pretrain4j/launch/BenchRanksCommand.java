package org.pretrain4j.launch;

import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.bench.RankBench;
import org.pretrain4j.trainer.bench.RankReport;
import org.pretrain4j.trainer.bench.Shape;
import org.pretrain4j.trainer.device.Cores;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.parallel.backend.Backend;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures steps that several ranks of this machine share. */
@Command(
    name = "ranks",
    header = "Measures the same training step on 1, 2, ... ranks of this machine.",
    description = {
      "A step has the same micro-batches, and the same cores work on it, whatever the number of ranks:"
          + " what differs is what sharing costs. Each world runs in processes of its own."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j bench ranks",
      "  pretrain4j bench ranks --shape 135m --ranks 1,2,4,8 --engine mpi --json ranks.json"
    })
final class BenchRanksCommand implements Callable<Integer> {
  private static final JsonMapper JSON = new JsonMapper();

  @Spec private CommandSpec spec;
  @Mixin private BenchStepOptions step;

  @Option(
      names = "--shape",
      paramLabel = "NAME",
      defaultValue = "135m",
      description = "Model and micro-batch, as in bench (default: ${DEFAULT-VALUE}).")
  private String shape;

  @Option(
      names = "--ranks",
      paramLabel = "N",
      split = ",",
      defaultValue = "1,2",
      description = "Numbers of ranks to measure, the first is compared with (default: 1,2).")
  private List<Integer> ranks;

  @Option(
      names = "--engine",
      paramLabel = "NAME",
      defaultValue = "mpi",
      description = "in_process, tcp or mpi; mpi starts mpirun (default: ${DEFAULT-VALUE}).")
  private Backend engine;

  @Option(
      names = "--micro-batches",
      paramLabel = "N",
      description = "Micro-batches of a step over all ranks (default: the most ranks).")
  private Integer microBatches;

  @Option(
      names = "--cores",
      paramLabel = "N",
      description = "Cores that the ranks share (default: all).")
  private Integer cores;

  @Option(
      names = "--repetitions",
      paramLabel = "N",
      defaultValue = "3",
      description = "Steps that count; their median is reported (default: ${DEFAULT-VALUE}).")
  private int repetitions;

  @Option(
      names = "--bucket-elements",
      paramLabel = "N",
      defaultValue = "25000000",
      description = "As parallelism.bucket_elements (default: ${DEFAULT-VALUE}).")
  private long bucketElements;

  @Option(
      names = "--gradient-sharding",
      paramLabel = "KIND",
      defaultValue = "auto",
      description = "As parallelism.gradient_sharding (default: ${DEFAULT-VALUE}).")
  private GradientSharding sharding;

  @Option(
      names = "--as-rank",
      hidden = true,
      paramLabel = "FILE",
      description = "Be a rank; rank 0 writes the report to this file.")
  private Path asRank;

  @Option(names = "--threads", hidden = true, description = "Of each rank.")
  private int threads;

  @Override
  public Integer call() throws IOException {
    Shape named = Shape.named(shape);
    if (repetitions < 1 || ranks.stream().anyMatch(count -> count < 1)) {
      throw new UserException("--repetitions and --ranks need numbers of at least 1");
    }
    if (asRank != null) {
      RankBench bench =
          new RankBench(
              named,
              step.type(),
              step.kernels(),
              step.composedOperators(),
              microBatches,
              bucketElements,
              sharding,
              threads,
              repetitions);
      RankReport report = RankBenchRunner.take(bench, engine, ranks.getFirst());
      if (report != null) {
        JSON.writeValue(asRank.toFile(), report);
      }
      return ExitCode.OK.number();
    }
    if (engine != Backend.IN_PROCESS && engine != Backend.TCP && engine != Backend.MPI) {
      throw new UserException("--engine is " + engine + ", expected in_process, tcp or mpi");
    }
    JsonReport json = new JsonReport(step.json());
    int most = ranks.stream().mapToInt(Integer::intValue).max().orElseThrow();
    int batches = microBatches == null ? most : microBatches;
    out()
        .printf(
            Locale.ROOT,
            "%s: %s%n%d micro-batches a step%n",
            named.name(),
            named.description(),
            batches);
    out()
        .printf(
            "%5s %7s %8s %9s %7s %9s %9s %10s %10s %10s%n",
            "ranks",
            "threads",
            "tokens/s",
            "relative",
            "step",
            "exposed",
            "update",
            "optimizer",
            "gradients",
            "peak");
    List<RankReport> reports = new ArrayList<>();
    for (int count : ranks) {
      reports.add(measure(count, batches));
      print(reports.getLast(), reports.getFirst());
      json.write(reports);
    }
    return ExitCode.OK.number();
  }

  private RankReport measure(int count, int batches) throws IOException {
    int available = cores == null ? Cores.available() : cores;
    int each = Math.max(1, available / count);
    Path file = Files.createTempFile("pretrain4j-bench", ".json");
    // One rank has nobody to talk to, and needs no engine.
    Backend between = count == 1 ? Backend.IN_PROCESS : engine;
    try {
      List<String> arguments = new ArrayList<>(List.of("bench", "ranks"));
      arguments.addAll(List.of("--as-rank", file.toString(), "--shape", shape));
      arguments.addAll(List.of("--ranks", Integer.toString(count), "--engine", lower(between)));
      arguments.addAll(List.of("--threads", Integer.toString(each)));
      arguments.addAll(List.of("--micro-batches", Integer.toString(batches)));
      arguments.addAll(List.of("--repetitions", Integer.toString(repetitions)));
      arguments.addAll(
          List.of("--precision", lower(step.precision()), "--kernels", lower(step.kernels())));
      if (!step.composedOperators().isEmpty()) {
        arguments.add("--composed-operators");
        arguments.add(
            step.composedOperators().stream()
                .map(BenchRanksCommand::lower)
                .collect(Collectors.joining(",")));
      }
      arguments.addAll(List.of("--bucket-elements", Long.toString(bucketElements)));
      arguments.addAll(List.of("--gradient-sharding", lower(sharding)));
      new RankBenchRunner(between, arguments).run(count, each);
      return JSON.readValue(file.toFile(), RankReport.class);
    } finally {
      Files.deleteIfExists(file);
    }
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private void print(RankReport report, RankReport first) {
    out()
        .println(
            String.format(
                Locale.ROOT,
                "%5d %7d %,8.0f %8.1f%% %5.2f s %7.3f s %7.3f s %10s %10s %10s",
                report.ranks(),
                report.threads(),
                report.tokensPerSecond(),
                100 * report.tokensPerSecond() / first.tokensPerSecond(),
                report.stepSeconds(),
                report.exposedSeconds(),
                report.optimizerSeconds(),
                HumanUnits.bytes(report.optimizerBytes()),
                HumanUnits.bytes(report.gradientBytes()),
                HumanUnits.bytes(report.peakMemoryBytes())));
    out().flush();
  }

  private PrintWriter out() {
    return spec.commandLine().getOut();
  }
}
