package org.pretrain4j.trainer.optim;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.pretrain4j.trainer.kernels.Lanes;
import org.pretrain4j.trainer.kernels.WorkerPool;

/**
 * The L2 norm of the gradient over all ranks, and how much to clip.
 *
 * <p>Squares of float32 are exact in float64 and their sum can't overflow there, so the sum is
 * finite exactly if every element is. It is taken in blocks of a fixed size, added in order: the
 * number of threads changes no bit. Each rank contributes one float64, which all ranks add in rank
 * order and take the root of in float32. Another world size cuts the sum elsewhere, which moves it
 * by some 1e-15 of its value; the rounding to float32 hides that but in one case out of ten
 * millions.
 */
public final class GradientNorm {
  private static final long BLOCK = 65_536;

  /** Added to the norm before the division, as torch does. */
  private static final double CLIPPING_EPSILON = 1e-6;

  private GradientNorm() {}

  /**
   * Sum of the squares of float32 elements; NaN or infinite exactly if some element is.
   *
   * @param gradient the packed gradient of one rank's ranges
   */
  public static double sumOfSquares(WorkerPool pool, MemorySegment gradient) {
    long elements = gradient.byteSize() / Float.BYTES;
    double[] blocks = new double[Math.toIntExact(Math.ceilDiv(elements, BLOCK))];
    pool.run(
        elements,
        BLOCK,
        (from, to) ->
            blocks[(int) (from / BLOCK)] =
                blockSum(
                    gradient.asSlice(from * Float.BYTES, (to - from) * Float.BYTES),
                    (int) (to - from)));
    return sum(blocks);
  }

  /**
   * The norm, with the precision of float32.
   *
   * @param sumsOfSquares what each rank's {@link #sumOfSquares} gave, in rank order
   * @param scale what the gradient will be multiplied by, such as 1 / target tokens
   */
  public static double norm(double[] sumsOfSquares, double scale) {
    return (float) (Math.sqrt(sum(sumsOfSquares)) * Math.abs(scale));
  }

  /**
   * What to multiply the gradient by so that its norm is at most maxNorm: {@code min(1, maxNorm /
   * (norm + 1e-6))}.
   *
   * @throws IllegalArgumentException if the norm is not finite: that step must be skipped
   */
  public static double clippingCoefficient(double norm, double maxNorm) {
    if (!Double.isFinite(norm)) {
      throw new IllegalArgumentException("no clipping of a gradient whose norm is " + norm);
    }
    return Math.min(1, maxNorm / (norm + CLIPPING_EPSILON));
  }

  /** Two accumulators of float64 lanes; lanes are added in order at the end. */
  private static double blockSum(MemorySegment block, int elements) {
    DoubleVector low = DoubleVector.zero(DoubleVector.SPECIES_PREFERRED);
    DoubleVector high = low;
    int i = 0;
    for (; i <= elements - Lanes.COUNT; i += Lanes.COUNT) {
      FloatVector g = Lanes.load(block, i);
      DoubleVector first = (DoubleVector) g.convert(VectorOperators.F2D, 0);
      DoubleVector second = (DoubleVector) g.convert(VectorOperators.F2D, 1);
      low = first.fma(first, low);
      high = second.fma(second, high);
    }
    double total = sum(low.toArray()) + sum(high.toArray());
    for (; i < elements; i++) {
      double g = block.get(ValueLayout.JAVA_FLOAT_UNALIGNED, (long) i * Float.BYTES);
      total += g * g;
    }
    return total;
  }

  private static double sum(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum;
  }
}
