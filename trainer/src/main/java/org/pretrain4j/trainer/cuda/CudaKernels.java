package org.pretrain4j.trainer.cuda;

import java.util.Optional;
import org.pretrain4j.trainer.kernels.CrossEntropy;
import org.pretrain4j.trainer.libtorch.ScalarType;

/**
 * The model's kernels: embedding, RMSNorm, rotary positions, SwiGLU and cross entropy, forward and
 * backward. Each call starts kernels and returns; memory is the GPU's and must stay until they are
 * done. One thread at a time.
 *
 * <p>Addresses that are no matrices are those of arrays: int32 for tokens and targets, float32 for
 * what is said to be so. Matrices of one call are of one element type unless said otherwise.
 * Fastest where addresses are multiples of 16 bytes and rows are multiples of 8 elements.
 */
public final class CudaKernels {
  /**
   * Partial sums of the gradient of a norm's weight: four blocks for each multiprocessor of a
   * Hopper, the same number on all devices, so that the bits are the same.
   */
  private static final int PARTIAL_SUMS = 528;

  private static final int CROSS_ENTROPY_THREADS = 512;
  private static final int FORWARD_PACKS = 4;

  /** Packs of a row that a thread of the wide variant of RMSNorm's gradient keeps, by width. */
  private static final int WIDE_X8 = 2;

  private static final int WIDE_X4 = 4;
  private static final int WIDE_X1 = 8;

  private static final int COLUMN_THREADS = 1024;

  /** Few threads, so that an id that is in many positions is shared by several blocks. */
  private static final int EMBEDDING_THREADS = 64;

  private final Launches launches;

  /** Kernels by a launcher. */
  public CudaKernels(KernelLauncher launcher) {
    launches = new Launches(launcher);
  }

  /**
   * Gathers rows of a table.
   *
   * @param table [vocabSize, hiddenSize]
   * @param tokens int32 [tokens], each in [0, vocabSize), which is not checked
   * @param output [tokens, hiddenSize], written
   */
  public void embedding(DeviceMatrix table, long tokens, DeviceMatrix output) {
    output.requireShape("output", output.rows(), table.columns());
    output.requireType("output", table.type());
    int width = Launches.rowWidth(table.type(), table.columns(), table.address(), output.address());
    int packs = table.columns() / width;
    launches.forItems(
        "embedding_forward" + Launches.suffix(table.type(), width),
        items(output.rows(), packs),
        arguments ->
            arguments
                .pointer(table.address())
                .pointer(tokens)
                .pointer(output.address())
                .int32((int) output.rows())
                .int32(packs));
  }

  /**
   * Gradient of {@link #embedding}: adds the rows of each token to its row of the table in the
   * order of positions.
   *
   * @param dOutput [tokens, hiddenSize]
   * @param groups where each token stands, in the GPU's memory
   * @param dTable float32 [vocabSize, hiddenSize], added to
   */
  public void embeddingGradient(
      DeviceMatrix dOutput, TokenGroups.OnDevice groups, DeviceMatrix dTable) {
    dTable.requireShape("dTable", dTable.rows(), dOutput.columns());
    dTable.requireType("dTable", ScalarType.FLOAT32);
    int width =
        Launches.rowWidth(dOutput.type(), dOutput.columns(), dOutput.address(), dTable.address());
    int packs = dOutput.columns() / width;
    int blocksOfRow = Math.ceilDiv(packs, EMBEDDING_THREADS);
    launches.launch(
        "embedding_backward" + Launches.suffix(dOutput.type(), width),
        (long) groups.count() * blocksOfRow,
        EMBEDDING_THREADS,
        0,
        arguments ->
            arguments
                .pointer(dOutput.address())
                .pointer(groups.positions())
                .pointer(groups.starts())
                .pointer(groups.tokens())
                .pointer(dTable.address())
                .int32(packs)
                .int32(blocksOfRow));
  }

  /**
   * RMSNorm of each row: {@code y = weight * cast(x * rstd)}, {@code rstd = 1 / sqrt(mean(x^2) +
   * epsilon)}.
   *
   * @param x [rows, hiddenSize]
   * @param weight [1, hiddenSize]
   * @param y [rows, hiddenSize], written; may be x
   * @param rstd float32 [rows], written
   */
  public void rmsNorm(
      DeviceMatrix x, DeviceMatrix weight, DeviceMatrix y, long rstd, double epsilon) {
    weight.requireShape("weight", 1, x.columns());
    weight.requireType("weight", x.type());
    y.requireLike("y", x);
    int width =
        Launches.rowWidth(x.type(), x.columns(), x.address(), weight.address(), y.address());
    int packs = x.columns() / width;
    // A row within a warp as long as a thread keeps it in registers: no barrier.
    RowGeometry geometry =
        RowGeometry.of(packs, packs <= Launches.WARP * FORWARD_PACKS ? FORWARD_PACKS : 2);
    launches.launch(
        "rms_norm_forward" + Launches.suffix(x.type(), width),
        geometry.blocks(x.rows()),
        geometry.threads(),
        geometry.sumBytes(),
        arguments ->
            arguments
                .pointer(x.address())
                .pointer(weight.address())
                .pointer(y.address())
                .pointer(rstd)
                .int64(x.rows())
                .int32(x.columns())
                .float32((float) epsilon)
                .int32(geometry.groupThreads()));
  }

  /** Elements (float32) of the partial sums that {@link #rmsNormGradient} needs at most. */
  public static long rmsNormPartialElements(int hiddenSize) {
    return (long) PARTIAL_SUMS * hiddenSize;
  }

  /**
   * Gradient of {@link #rmsNorm}, with n = x rstd before the cast: {@code dx = rstd (dy weight - n
   * mean(dy weight n)) + dSum}, {@code dWeight += sum over rows of dy cast(n)}.
   *
   * @param dy [rows, hiddenSize], of x's type or float32
   * @param dSum [rows, hiddenSize]: the gradient that reaches x past the norm, if any
   * @param x what was normed
   * @param rstd what forward wrote
   * @param dx [rows, hiddenSize], written; may be dy or dSum
   * @param partial float32 [{@link #rmsNormPartialElements}], to work in
   * @param dWeight float32 [hiddenSize], added to
   * @throws IllegalArgumentException also for rows of more than 8,192 elements (4,096 where rows
   *     are not aligned)
   */
  public void rmsNormGradient(
      DeviceMatrix dy,
      Optional<DeviceMatrix> dSum,
      DeviceMatrix x,
      DeviceMatrix weight,
      long rstd,
      DeviceMatrix dx,
      long partial,
      long dWeight) {
    weight.requireShape("weight", 1, x.columns());
    weight.requireType("weight", x.type());
    dy.requireShape("dy", x.rows(), x.columns());
    dx.requireLike("dx", x);
    dSum.ifPresent(past -> past.requireLike("dSum", x));
    if (dy.type() != ScalarType.FLOAT32) {
      dy.requireType("dy", x.type());
    }
    long past = dSum.map(DeviceMatrix::address).orElse(0L);
    int width =
        Launches.rowWidth(
            x.type(), x.columns(), dy.address(), past, x.address(), weight.address(), dx.address());
    int packs = x.columns() / width;
    RowGeometry narrow = RowGeometry.of(packs, 1);
    boolean wide = packs > narrow.groupThreads();
    int most = narrow.groupThreads() * (width == 1 ? WIDE_X1 : width == 4 ? WIDE_X4 : WIDE_X8);
    if (packs > most) {
      throw new IllegalArgumentException(
          "rows of %d elements in packs of %d: at most %d"
              .formatted(x.columns(), width, most * width));
    }
    long blocks = Math.min(PARTIAL_SUMS, narrow.blocks(x.rows()));
    int joined = narrow.groups() > 1 ? narrow.groups() * x.columns() * Float.BYTES : 0;
    String types = dy.type() == x.type() ? "" : Launches.suffix(dy.type());
    launches.launch(
        "rms_norm_backward" + Launches.suffix(x.type()) + types + (wide ? "_wide_x" : "_x") + width,
        blocks,
        narrow.threads(),
        Math.max(narrow.sumBytes(), joined),
        arguments ->
            arguments
                .pointer(dy.address())
                .pointer(past)
                .pointer(x.address())
                .pointer(weight.address())
                .pointer(rstd)
                .pointer(dx.address())
                .pointer(partial)
                .int64(x.rows())
                .int32(x.columns())
                .int32(narrow.groupThreads()));
    launches.launch(
        "column_sums",
        blocks == 0 ? 0 : Math.ceilDiv(x.columns(), Launches.WARP),
        COLUMN_THREADS,
        COLUMN_THREADS * Float.BYTES,
        arguments ->
            arguments.pointer(partial).int32((int) blocks).int32(x.columns()).pointer(dWeight));
  }

  /**
   * Rotates the first heads of each row in place by the angles of its position; elements i and i +
   * headDim / 2 of a head are a pair.
   *
   * @param qkv [rows, width] with width at least heads * headDim
   * @param cosines float32 [at least sequenceLength, headDim / 2]
   * @param sines the same
   * @param sequenceLength rows of a sequence: row r has position r % sequenceLength
   * @param heads that are rotated
   * @param back whether to rotate back, which is the gradient
   */
  public void rotary(
      DeviceMatrix qkv,
      long cosines,
      long sines,
      int sequenceLength,
      int heads,
      int headDim,
      boolean back) {
    if (headDim < 2
        || headDim % 2 != 0
        || sequenceLength < 1
        || heads < 1
        || (long) heads * headDim > qkv.columns()) {
      throw new IllegalArgumentException(
          "%d heads of %d in rows of %d; sequence %d"
              .formatted(heads, headDim, qkv.columns(), sequenceLength));
    }
    int half = headDim / 2;
    boolean alignedRows = Launches.rowWidth(qkv.type(), qkv.columns()) > 1;
    int width =
        alignedRows ? Launches.rowWidth(qkv.type(), half, qkv.address(), cosines, sines) : 1;
    int packs = half / width;
    launches.forItems(
        "rotary" + Launches.suffix(qkv.type(), width),
        items(qkv.rows(), heads * packs),
        arguments ->
            arguments
                .pointer(qkv.address())
                .pointer(cosines)
                .pointer(sines)
                .int32((int) qkv.rows())
                .int32(sequenceLength)
                .int32(heads)
                .int32(packs)
                .int32(qkv.columns())
                .float32(back ? -1 : 1));
  }

  /**
   * SwiGLU: {@code silu(gate) * up}.
   *
   * @param gateUp [rows, 2 * intermediateSize]: in each row first the gate, then up
   * @param output [rows, intermediateSize], written
   */
  public void swiGlu(DeviceMatrix gateUp, DeviceMatrix output) {
    swiGlu("swiglu_forward", gateUp, output);
  }

  /**
   * Gradient of {@link #swiGlu}.
   *
   * @param dOutput [rows, intermediateSize]
   * @param gateUp [rows, 2 * intermediateSize]: what forward read; replaced by its gradient
   */
  public void swiGluGradient(DeviceMatrix dOutput, DeviceMatrix gateUp) {
    swiGlu("swiglu_backward", gateUp, dOutput);
  }

  private void swiGlu(String kernel, DeviceMatrix gateUp, DeviceMatrix narrow) {
    gateUp.requireShape("gateUp", narrow.rows(), 2 * narrow.columns());
    gateUp.requireType("gateUp", narrow.type());
    int width =
        Launches.rowWidth(narrow.type(), narrow.columns(), gateUp.address(), narrow.address());
    int packs = narrow.columns() / width;
    launches.forItems(
        kernel + Launches.suffix(narrow.type(), width),
        items(narrow.rows(), packs),
        arguments ->
            arguments
                .pointer(gateUp.address())
                .pointer(narrow.address())
                .int32((int) narrow.rows())
                .int32(packs));
  }

  /**
   * Cross entropy of each row, and its gradient {@code scale * (softmax(logits) - onehot)}. Masked
   * rows get 0 and zeros. A target outside of the vocabulary, which the host should have refused,
   * makes its loss NaN.
   *
   * @param logits [tokens, vocabSize]; replaced by their gradient
   * @param targets int32 [tokens], each in [0, vocabSize) or {@link CrossEntropy#MASKED}
   * @param losses float64 [tokens], written; not scaled
   */
  public void crossEntropy(DeviceMatrix logits, long targets, long losses, float scale) {
    int width = Launches.rowWidth(logits.type(), logits.columns(), logits.address());
    launches.launch(
        "cross_entropy" + Launches.suffix(logits.type(), width),
        logits.rows(),
        CROSS_ENTROPY_THREADS,
        2 * Float.BYTES * CROSS_ENTROPY_THREADS / Launches.WARP,
        arguments ->
            arguments
                .pointer(logits.address())
                .pointer(targets)
                .pointer(losses)
                .int32(logits.columns())
                .float32(scale));
  }

  /** The kernels count in 32 bits, as divisions of 64 take them several times as long. */
  private static long items(long rows, int each) {
    long items = rows * each;
    if (items > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          rows + " rows of " + each + " packs: fewer rows at a time, please");
    }
    return items;
  }
}
