package org.pretrain4j.launch;

import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.bench.ProductBench;
import org.pretrain4j.trainer.bench.ProductBench.Report;
import org.pretrain4j.trainer.bench.Shape;
import org.pretrain4j.trainer.fused.ProductRates.Rate;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures each matrix product of a shape alone. */
@Command(
    name = "products",
    header = "Measures each matrix product of a shape alone: what a step could reach at best.",
    description = {
      "In bf16 on the CPU: by libtorch's operators, by MKL and in tiles where the processor has them,"
          + " as shares of the GEMM peak of the same process; and the least time that memory needs"
          + " for the factors and the result, as a share of the fastest product's."
    },
    footer = {"", "Example:", "  pretrain4j bench products --shape 135m-6-layers"})
final class BenchProductsCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--shape",
      paramLabel = "NAME",
      defaultValue = "layer-3b",
      description = "Whose products (default: ${DEFAULT-VALUE}).")
  private String shape;

  @Option(
      names = "--repetitions",
      paramLabel = "N",
      defaultValue = "3",
      description = "Products of which the fastest counts (default: ${DEFAULT-VALUE}).")
  private int repetitions;

  @Override
  public Integer call() {
    if (repetitions < 1) {
      throw new UserException("--repetitions is " + repetitions + ", expected at least 1");
    }
    Report report = new ProductBench(Shape.named(shape), repetitions).run();
    TextTable table = new TextTable("product", " libtorch", " mkl", " tiles", " memory");
    for (Rate rate : report.rates()) {
      double best = rate.seconds().values().stream().mapToDouble(x -> x).min().orElseThrow();
      table.add(
          rate.name(),
          share(rate, "libtorch", report.gemmPeakFlops()),
          share(rate, "mkl", report.gemmPeakFlops()),
          share(rate, "tiles", report.gemmPeakFlops()),
          percent(rate.bytes() / report.memoryBytesPerSecond() / best));
    }
    spec.commandLine()
        .getOut()
        .printf(
            Locale.ROOT,
            "GEMM peak %.1f GFLOP/s, memory %.1f GB/s%n",
            report.gemmPeakFlops() / 1e9,
            report.memoryBytesPerSecond() / 1e9);
    table.lines().forEach(spec.commandLine().getOut()::println);
    return ExitCode.OK.number();
  }

  private static String share(Rate rate, String engine, double peak) {
    Map<String, Double> seconds = rate.seconds();
    return seconds.containsKey(engine) ? percent(rate.flops() / seconds.get(engine) / peak) : "-";
  }

  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.0f%%", 100 * share);
  }
}
