package org.pretrain4j.trainer.sharding;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.Consumer;
import org.pretrain4j.checkpoints.StateSource;
import org.pretrain4j.trainer.cuda.CudaArrayKernels;
import org.pretrain4j.trainer.cuda.GpuDriver;
import org.pretrain4j.trainer.cuda.KernelLauncher;
import org.pretrain4j.trainer.cuda.PinnedTransfer;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.WeightDecayRange;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;

/**
 * In a GPU's memory, by kernels on its default stream. Values come from and go to the host through
 * pinned memory, on a stream of their own.
 */
final class CudaShardOperators implements ShardOperators {
  private final NDManager manager;
  private final GpuDriver gpu;
  private final CudaArrayKernels kernels;
  private final PinnedTransfer transfer;
  private final Tensor squares;
  private Tensor partials;

  /**
   * @param manager of the GPU; owns scratch memory
   */
  CudaShardOperators(NDManager manager, GpuDriver gpu, KernelLauncher launcher) {
    this.manager = manager;
    this.gpu = gpu;
    this.kernels = new CudaArrayKernels(launcher);
    this.transfer = new PinnedTransfer(gpu);
    this.squares = Tensor.zeros(manager, ScalarType.FLOAT64, 1);
    this.partials = Tensor.empty(manager, ScalarType.FLOAT64, 1);
  }

  @Override
  public void add(FlatBuffer sum, FlatBuffer addend) {
    requireLength("an addend", sum.elements(), addend.elements());
    ScalarType type =
        addend.type() == ElementType.BFLOAT16 ? ScalarType.BFLOAT16 : ScalarType.FLOAT32;
    kernels.add(sum.address(), addend.address(), type, sum.elements());
  }

  @Override
  public double sumOfSquares(List<FlatBuffer> parts) {
    squares.zero();
    for (FlatBuffer part : parts) {
      long needed = CudaArrayKernels.sumOfSquaresPartials(part.elements());
      if (partials.elements() < needed) {
        partials.close();
        partials = Tensor.empty(manager, ScalarType.FLOAT64, needed);
      }
      kernels.sumOfSquares(part.address(), part.elements(), partials.address(), squares.address());
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment sum = arena.allocate(ValueLayout.JAVA_DOUBLE);
      gpu.use();
      gpu.copyFromGpu(squares.address(), sum);
      return sum.get(ValueLayout.JAVA_DOUBLE, 0);
    }
  }

  @Override
  public void update(
      AdamWSettings settings,
      State state,
      List<WeightDecayRange> decays,
      long update,
      double learningRate,
      double gradientScale) {
    long elements = state.master().elements();
    requireLength("a moment", elements, state.expAvg().elements());
    requireLength("a moment", elements, state.expAvgSq().elements());
    requireLength("a gradient", elements, state.gradient().elements());
    state.bfloat16().ifPresent(rounded -> requireLength("weights", elements, rounded.elements()));
    requireLength(
        "weight decay", elements, decays.stream().mapToLong(d -> d.range().length()).sum());
    long start = 0;
    for (WeightDecayRange decay : decays) {
      long offset = start * Float.BYTES;
      long rounded = start * Short.BYTES;
      kernels.adamW(
          state.master().address() + offset,
          state.expAvg().address() + offset,
          state.expAvgSq().address() + offset,
          state.gradient().address() + offset,
          state.bfloat16().map(memory -> memory.address() + rounded).orElse(0L),
          decay.range().length(),
          settings.coefficients(update, learningRate, decay.weightDecay(), gradientScale));
      start += decay.range().length();
    }
  }

  private static void requireLength(String what, long expected, long actual) {
    if (expected != actual) {
      throw new IllegalArgumentException(
          "%s of %d elements instead of %d".formatted(what, actual, expected));
    }
  }

  @Override
  public void fill(FlatBuffer target, Consumer<MemorySegment> values) {
    transfer.fill(target.address(), target.bytes(), values);
  }

  @Override
  public StateSource source(FlatBuffer values) {
    return new DeviceState(transfer, values);
  }

  /** Values in the GPU's memory. */
  private record DeviceState(PinnedTransfer transfer, FlatBuffer values) implements StateSource {
    @Override
    public long bytes() {
      return values.bytes();
    }

    @Override
    public void copyTo(long offset, MemorySegment piece) {
      transfer.read(values.address() + offset, piece);
    }
  }

  @Override
  public void close() {
    transfer.close();
  }
}
