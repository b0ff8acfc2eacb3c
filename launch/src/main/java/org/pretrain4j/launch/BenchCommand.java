package org.pretrain4j.launch;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.launch.plan.Gpu;
import org.pretrain4j.trainer.bench.BenchReport;
import org.pretrain4j.trainer.bench.DeviceCheck;
import org.pretrain4j.trainer.bench.OptimizerCheck;
import org.pretrain4j.trainer.bench.Shape;
import org.pretrain4j.trainer.bench.StepBench;
import org.pretrain4j.trainer.cuda.CudaDevice;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.device.Cores;
import org.pretrain4j.trainer.device.DeviceChoice;
import org.pretrain4j.trainer.machine.Machine;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.FusedOperator;
import org.pretrain4j.trainer.model.Kernels;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures training steps against the machine's own peak. */
@Command(
    name = "bench",
    subcommands = {
      BenchCheckpointCommand.class,
      BenchDataCommand.class,
      BenchProductsCommand.class,
      BenchRanksCommand.class
    },
    header = "Measures training steps of named shapes against this machine's matrix peak.",
    synopsisSubcommandLabel = "[COMMAND]",
    description = {
      "Both are measured in the same process, each step beside a matrix product, so that their ratio"
          + " holds on a noisy machine."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j bench",
      "  pretrain4j bench --shape layer-3b --shape 135m --repetitions 9 --json bench.json",
      "  pretrain4j bench --shape 135m --baseline eager",
      "  pretrain4j bench --composed-operators norm --baseline fused",
      "  pretrain4j bench --compare before.json after.json",
      "  pretrain4j bench --device cuda",
      "  pretrain4j bench data",
      "  pretrain4j bench products",
      "  pretrain4j bench ranks --shape 135m --ranks 1,2"
    })
final class BenchCommand implements Callable<Integer> {
  private static final List<String> DEFAULT_SHAPES = List.of("layer-3b", "135m-6-layers");
  private static final List<String> GPU_SHAPES = List.of("135m-4096", "3b-4096");
  private static final List<String> CHECKED_SHAPES = List.of("135m-6-layers-packed", "3b-2-layers");

  @Spec private CommandSpec spec;
  @Mixin private BenchStepOptions step;

  @Option(
      names = "--shape",
      paramLabel = "NAME",
      description = {
        "What to measure, may be repeated: layer-3b, 135m-6-layers, 135m, 135m-6-layers-long,"
            + " 135m-6-layers-packed, 135m-4096, 1b-4096, 3b-4096, tiny (default: the first two; on"
            + " a GPU 135m-4096 and 3b-4096)."
      })
  private List<String> shapes = new ArrayList<>();

  @Option(
      names = "--repetitions",
      paramLabel = "N",
      defaultValue = "5",
      description = "Steps that count; their median is reported (default: ${DEFAULT-VALUE}).")
  private int repetitions;

  @Option(
      names = "--device",
      paramLabel = "KIND",
      defaultValue = "cpu",
      description = {
        "cpu, cuda for the first GPU, or auto (default: ${DEFAULT-VALUE}). On a GPU its numbers are"
            + " proved first: loss and gradients of a pass in bf16 against float32 on the CPU."
      })
  private DeviceChoice device;

  @Option(
      names = "--activation-checkpointing",
      paramLabel = "KIND",
      defaultValue = "none",
      description =
          "What of the activations is computed again in the backward pass: none, selected, full"
              + " (default: ${DEFAULT-VALUE}). The share of peak does not count it.")
  private ActivationCheckpointing checkpointing;

  @Option(
      names = "--baseline",
      paramLabel = "KIND",
      description = {
        "Also run the same step computed so, in turns with the other, and print the ratio: eager,"
            + " which is composed of libtorch's own operators, or fused, with no operator switched"
            + " off."
      })
  private Baseline baseline;

  @Option(
      names = "--compare",
      arity = "2",
      paramLabel = "FILE",
      description =
          "Measure nothing: compare two reports that --json wrote, the earlier one first.")
  private List<Path> compared = List.of();

  @Option(
      names = "--threads",
      paramLabel = "N",
      description =
          "Threads of libtorch and of the vector code (default: as many as there are cores).")
  private Integer threads;

  /** What a step may be held against. */
  private enum Baseline {
    EAGER(Kernels.COMPOSED),
    FUSED(Kernels.FUSED);

    private final Kernels kernels;

    Baseline(Kernels kernels) {
      this.kernels = kernels;
    }
  }

  @Override
  public Integer call() throws IOException {
    if (!compared.isEmpty()) {
      BenchDocument.compare(
              BenchDocument.read(compared.get(0)), BenchDocument.read(compared.get(1)))
          .forEach(out()::println);
      return ExitCode.OK.number();
    }
    if (repetitions < 1) {
      throw new UserException("--repetitions is " + repetitions + ", expected at least 1");
    }
    if (threads != null && threads < 1) {
      throw new UserException("--threads is " + threads + ", expected at least 1");
    }
    Set<FusedOperator> switchedOff = step.composedOperators();
    if (baseline != null && baseline.kernels == step.kernels() && switchedOff.isEmpty()) {
      throw new UserException(
          String.format(
                  "--baseline %s is what --kernels %s computes; leave one of the two out",
                  baseline, step.kernels())
              .toLowerCase(Locale.ROOT));
    }
    List<Shape> named = shapes.stream().map(Shape::named).toList();
    JsonReport json = new JsonReport(step.json());
    int count = threads == null ? Cores.available() : threads;
    try (ComputeDevice computes = ComputeDevice.open(device, 0, count, System.getenv())) {
      return measure(computes, switchedOff, named, json);
    }
  }

  private int measure(
      ComputeDevice computes, Set<FusedOperator> switchedOff, List<Shape> named, JsonReport json) {
    boolean onGpu = computes.gpu().isPresent();
    out().println(computes.describe());
    if (onGpu && !CHECKED_SHAPES.stream().allMatch(name -> proves(computes, Shape.named(name)))) {
      return ExitCode.INTERNAL_ERROR.number();
    }
    List<String> defaults = onGpu ? GPU_SHAPES : DEFAULT_SHAPES;
    List<Shape> chosen = named.isEmpty() ? defaults.stream().map(Shape::named).toList() : named;
    List<BenchReport> reports = new ArrayList<>();
    for (Shape shape : chosen) {
      out().println(shape.name() + ": " + shape.description());
      out().flush();
      Optional<Kernels> other =
          Optional.ofNullable(baseline).map(chosenBaseline -> chosenBaseline.kernels);
      BenchReport report =
          new StepBench(
                  shape,
                  step.type(),
                  step.kernels(),
                  switchedOff,
                  checkpointing,
                  other,
                  repetitions)
              .run(computes);
      print(report);
      computes.gpu().ifPresent(gpu -> printMfu(gpu, report));
      reports.add(report);
      json.write(
          new BenchDocument(
              Pretrain4j.Version.program(), Shape.FORMULA, Machine.here(computes), reports));
    }
    out().println(Shape.FORMULA);
    return ExitCode.OK.number();
  }

  /** Prints what the check gives, and whether it is within the tolerances. */
  private boolean proves(ComputeDevice computes, Shape shape) {
    out().println("numerics, " + shape.description() + ", bf16 here against fp32 on the CPU:");
    out().flush();
    DeviceCheck.Report report = new DeviceCheck(computes, shape).run();
    line(
        "%-18s %.6f, expected %.6f: off by %.2g, at most %.2g",
        "loss",
        report.loss(),
        report.expectedLoss(),
        report.lossError(),
        DeviceCheck.LOSS_TOLERANCE);
    line(
        "%-18s off by %.2g in the L2 norm (%s), at most %.2g",
        "worst gradient",
        report.gradientError(),
        report.gradient(),
        DeviceCheck.GRADIENT_TOLERANCE);
    OptimizerCheck.Report optimizer = report.optimizer();
    line(
        "%-18s off by %.2g in the L2 norm (weights or a moment), at most %.2g",
        "AdamW", optimizer.updateError(), OptimizerCheck.UPDATE_TOLERANCE);
    line("%-18s %d not the nearest, at most 0", "bf16 weights", optimizer.wrongRoundings());
    line(
        "%-18s off by %.2g, at most %.2g",
        "sum of squares", optimizer.squaresError(), OptimizerCheck.SQUARES_TOLERANCE);
    if (!report.passes()) {
      out().println("error: the GPU's numbers are outside of the tolerances; nothing was measured");
      out().flush();
    }
    return report.passes();
  }

  private void printMfu(CudaDevice gpu, BenchReport report) {
    line(
        "%-18s %s of %s, as the driver counts, with what libtorch keeps for later",
        "GPU's memory",
        HumanUnits.bytes(report.deviceMemoryBytes()),
        HumanUnits.bytes(gpu.driver().totalMemory()));
    double flops = report.flopsPerToken() * report.tokensPerSecond();
    Optional<Gpu> known = Gpu.ofDriver(gpu.driver().name());
    line(
        "%-18s %.1f TFLOP/s = flops/token * tokens/s; %s",
        "achieved",
        flops / 1e12,
        known
            .map(kind -> mfu(flops, kind.peakFlops()))
            .orElse("no published peak is known here for " + gpu.driver().name()));
  }

  private static String mfu(double flops, double peak) {
    return String.format(
        Locale.ROOT,
        "MFU %.1f%% of the published %.0f TFLOP/s of dense bf16",
        100 * flops / peak,
        peak / 1e12);
  }

  private void print(BenchReport report) {
    line(
        "%-18s %,.0f tokens/s, %.3f s a step",
        report.precision() + " " + report.kernels() + checkpointing(report),
        report.tokensPerSecond(),
        report.stepSeconds());
    line(
        "%-18s %.1f%% of %,.0f GFLOP/s, the fastest step %.1f%% of the best, %,.0f",
        "share of peak",
        100 * report.shareOfPeak(),
        report.gemmPeakFlops() / 1e9,
        100 * report.fastestShareOfPeak(),
        report.bestPeakFlops() / 1e9);
    line(
        "%-18s %s of the %s",
        "peak memory",
        HumanUnits.bytes(report.peakMemoryBytes()),
        report.peakMemoryOf().equals(BenchReport.OF_STEP)
            ? "step, on the host"
            : "process so far, on the host");
    for (Map.Entry<String, Double> phase : report.phaseSeconds().entrySet()) {
      line(
          "%-18s %.3f s, %.0f%%",
          phase.getKey(), phase.getValue(), 100 * phase.getValue() / report.stepSeconds());
    }
    line(
        "%-18s %s a step, its collector's pauses %.3f s in all steps, at most %.3f s in one",
        "Java heap",
        HumanUnits.bytes(report.heapBytesPerStep()),
        report.garbageCollectionSeconds(),
        report.mostGarbageCollectionSeconds());
    if (report.drift() != null) {
      line(
          "%-18s %+.1f%% of a step's time, %+d bytes resident, over %d steps",
          "drift",
          100 * report.drift().stepTime(),
          report.drift().residentBytes(),
          report.drift().steps());
    }
    if (report.baseline() != null) {
      line(
          "%-18s %,.0f tokens/s by %s kernels: %.2f times as fast",
          "over the baseline",
          report.baseline().tokensPerSecond(),
          report.baseline().kernels(),
          report.baseline().speedup());
    }
  }

  private static String checkpointing(BenchReport report) {
    String kind = report.activationCheckpointing();
    return kind.equals("none") ? "" : ", " + kind;
  }

  private void line(String format, Object... values) {
    out().println("  " + String.format(Locale.ROOT, format, values));
    out().flush();
  }

  private PrintWriter out() {
    return spec.commandLine().getOut();
  }
}
