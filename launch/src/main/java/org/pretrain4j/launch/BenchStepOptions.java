package org.pretrain4j.launch;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.FusedOperator;
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
      names = "--composed-operators",
      split = ",",
      paramLabel = "NAME",
      description = {
        "Fused operators that libtorch's own replace, as training.composed_operators: embedding,"
            + " norm, rotary, swiglu, attention, products, cross_entropy (default: none)."
      })
  private List<FusedOperator> composedOperators = List.of();

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

  /**
   * Fused operators that are switched off.
   *
   * @throws UserException if none are fused
   */
  Set<FusedOperator> composedOperators() {
    if (kernels == Kernels.COMPOSED && !composedOperators.isEmpty()) {
      throw new UserException(
          "--composed-operators is set, but --kernels composed has no fused operators: remove one"
              + " of the two");
    }
    return Set.copyOf(composedOperators);
  }

  /** Null if it is not wanted. */
  Path json() {
    return json;
  }
}
