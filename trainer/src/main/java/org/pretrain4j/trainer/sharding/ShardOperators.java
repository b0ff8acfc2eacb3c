package org.pretrain4j.trainer.sharding;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.pretrain4j.checkpoints.StateSource;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.WeightDecayRange;
import org.pretrain4j.trainer.parallel.FlatBuffer;

/**
 * Work on the flat memory of gradients and of the optimizer's state, on the device where it lies.
 * Calls only queue work where the device works on its own, but for those that give or take values
 * of the host. Updates have the same bits on all devices.
 */
public interface ShardOperators extends AutoCloseable {

  /**
   * A stretch of the optimizer's state, float32 but for the last.
   *
   * @param master the parameters, read and written
   * @param expAvg first moment, read and written
   * @param expAvgSq second moment, read and written
   * @param gradient sum of the gradients, read
   * @param bfloat16 where the rounded parameters go, if anywhere
   */
  record State(
      FlatBuffer master,
      FlatBuffer expAvg,
      FlatBuffer expAvgSq,
      FlatBuffer gradient,
      Optional<FlatBuffer> bfloat16) {}

  /**
   * {@code sum += addend}.
   *
   * @param sum float32
   * @param addend float32 or bfloat16, as long as the sum
   */
  void add(FlatBuffer sum, FlatBuffer addend);

  /**
   * Sum of the squares of all elements; not finite exactly if one of them is not. Waits for it.
   *
   * @param parts float32; their sums are added in order
   */
  double sumOfSquares(List<FlatBuffer> parts);

  /**
   * One update by {@link org.pretrain4j.trainer.optim.AdamW}.
   *
   * @param decays the weight decay of each part of the stretch in order, together as long as it
   * @param update number of this update, counted from 1
   * @param gradientScale what the gradient is multiplied by as it is read
   */
  void update(
      AdamWSettings settings,
      State state,
      List<WeightDecayRange> decays,
      long update,
      double learningRate,
      double gradientScale);

  /**
   * Puts values into the memory.
   *
   * @param values writes them all, in the buffer's type, to the memory of the host that it is given
   */
  void fill(FlatBuffer target, Consumer<MemorySegment> values);

  /** Values that a save may copy out, as they are when it does. */
  StateSource source(FlatBuffer values);

  @Override
  void close();

  /** Those of a device. */
  static ShardOperators of(ComputeDevice device) {
    return device
        .gpu()
        .<ShardOperators>map(
            gpu -> new CudaShardOperators(device.manager(), gpu.driver(), gpu.launcher()))
        .orElseGet(() -> new HostShardOperators(device.pool()));
  }
}
