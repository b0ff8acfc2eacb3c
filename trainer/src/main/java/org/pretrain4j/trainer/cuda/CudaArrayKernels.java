package org.pretrain4j.trainer.cuda;

import java.util.function.UnaryOperator;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.optim.AdamWCoefficients;

/**
 * Kernels over flat arrays: sums of gradients, their norm, and the optimizer's update. As {@link
 * CudaKernels}; all lengths are elements.
 */
public final class CudaArrayKernels {
  /** Elements of a partial sum of squares. */
  private static final long BLOCK = 65_536;

  private static final int SUM_OF_SQUARES_THREADS = 512;
  private static final int SUM_THREADS = 1024;

  private final Launches launches;

  /** Kernels by a launcher. */
  public CudaArrayKernels(KernelLauncher launcher) {
    launches = new Launches(launcher);
  }

  /**
   * One update by AdamW, with the same bits as {@link org.pretrain4j.trainer.optim.AdamW}'s.
   *
   * @param master float32, read and written, as are expAvg and expAvgSq
   * @param gradient float32, read
   * @param bfloat16 where the rounded parameters go, or 0
   */
  public void adamW(
      long master,
      long expAvg,
      long expAvgSq,
      long gradient,
      long bfloat16,
      long elements,
      AdamWCoefficients with) {
    // Four elements a thread: 8 bytes of bfloat16 are half of the 16 that all addresses must divide
    // by.
    int width =
        Launches.width(ScalarType.FLOAT32, master, expAvg, expAvgSq, gradient, 2 * bfloat16);
    forElements(
        "adamw_x" + width,
        width,
        elements,
        arguments ->
            arguments
                .pointer(master)
                .pointer(expAvg)
                .pointer(expAvgSq)
                .pointer(gradient)
                .pointer(bfloat16)
                .int64(elements)
                .float32(with.gradientScale())
                .float32(with.oneMinusBeta1())
                .float32(with.beta2())
                .float32(with.oneMinusBeta2())
                .float32(with.rootScale())
                .float32(with.epsilon())
                .float32(with.stepSize())
                .float32(with.decay()));
  }

  /** Elements (float64) of the partial sums that {@link #sumOfSquares} needs. */
  public static long sumOfSquaresPartials(long elements) {
    return Math.ceilDiv(elements, BLOCK);
  }

  /**
   * Adds the sum of the squares of float32 elements to a float64; NaN or infinite exactly if some
   * element is. In blocks of a fixed size, so the bits depend on the elements alone.
   *
   * @param partial float64 [{@link #sumOfSquaresPartials}], to work in
   * @param total float64 [1], added to
   */
  public void sumOfSquares(long gradient, long elements, long partial, long total) {
    int width = Launches.width(ScalarType.FLOAT32, gradient);
    long blocks = sumOfSquaresPartials(elements);
    launches.launch(
        "sum_of_squares_x" + width,
        blocks,
        SUM_OF_SQUARES_THREADS,
        Double.BYTES * SUM_OF_SQUARES_THREADS / Launches.WARP,
        arguments -> arguments.pointer(gradient).int64(elements).pointer(partial));
    sum(partial, blocks, total);
  }

  /**
   * Adds the sum of float64 values to a float64, always in the same order.
   *
   * @param total float64 [1], added to
   */
  public void sum(long values, long elements, long total) {
    launches.launch(
        "sum",
        elements == 0 ? 0 : 1,
        SUM_THREADS,
        Double.BYTES * SUM_THREADS / Launches.WARP,
        arguments -> arguments.pointer(values).int64(elements).pointer(total));
  }

  /**
   * {@code sum += addend}.
   *
   * @param sum float32
   * @param addend of the given type
   */
  public void add(long sum, long addend, ScalarType type, long elements) {
    combine("add" + Launches.suffix(type), sum, addend, type, elements);
  }

  /** {@code target = source}, float32 from bfloat16. */
  public void widen(long target, long source, long elements) {
    combine("widen", target, source, ScalarType.BFLOAT16, elements);
  }

  /** {@code target = source}, bfloat16 from float32, rounded to nearest even. */
  public void narrow(long target, long source, long elements) {
    combine("narrow", target, source, ScalarType.BFLOAT16, elements);
  }

  private void combine(String kernel, long target, long source, ScalarType type, long elements) {
    int width = Launches.width(type, target, source);
    forElements(
        kernel + "_x" + width,
        width,
        elements,
        arguments -> arguments.pointer(target).pointer(source).int64(elements));
  }

  private void forElements(
      String kernel, int width, long elements, UnaryOperator<KernelArguments> append) {
    launches.forItems(kernel, Math.ceilDiv(elements, width), append);
  }
}
