package org.pretrain4j.launch;

import java.nio.file.Path;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.run.TrainingConfig.Precision;
import picocli.CommandLine.Option;

/** How a measured step computes, and where its report goes. */
final class BenchStepOptions {
  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = "bf16 or fp32 (default: ${DEFAULT-VALUE}).")
  private Precision precision;

  @Option(
      names = "--kernels",
      paramLabel = "KIND",
      defaultValue = "fused",
      description =
          "fused, or composed of libtorch's own operators, which is the eager baseline (default:"
              + " ${DEFAULT-VALUE}).")
  private Kernels kernels;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the reports to this file.")
  private Path json;

  Precision precision() {
    return precision;
  }

  /** Of the weights and activations. */
  ScalarType type() {
    return precision == Precision.BF16 ? ScalarType.BFLOAT16 : ScalarType.FLOAT32;
  }

  Kernels kernels() {
    return kernels;
  }

  /** Null if it is not wanted. */
  Path json() {
    return json;
  }
}
