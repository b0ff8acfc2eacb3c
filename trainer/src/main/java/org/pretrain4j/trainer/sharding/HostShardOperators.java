package org.pretrain4j.trainer.sharding;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Consumer;
import org.pretrain4j.checkpoints.StateSource;
import org.pretrain4j.trainer.kernels.Accumulation;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.optim.AdamW;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.GradientNorm;
import org.pretrain4j.trainer.optim.WeightDecayRange;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;

/** In the host's memory, by vector code; done when a call returns. */
public final class HostShardOperators implements ShardOperators {
  private final WorkerPool pool;

  /**
   * @param pool the threads that share the work; not closed here
   */
  public HostShardOperators(WorkerPool pool) {
    this.pool = pool;
  }

  @Override
  public void add(FlatBuffer sum, FlatBuffer addend) {
    if (addend.type() == ElementType.BFLOAT16) {
      Accumulation.addBfloat16(pool, sum.segment(), addend.segment());
    } else {
      Accumulation.add(pool, sum.segment(), addend.segment());
    }
  }

  @Override
  public double sumOfSquares(List<FlatBuffer> parts) {
    double sum = 0;
    for (FlatBuffer part : parts) {
      sum += GradientNorm.sumOfSquares(pool, part.segment());
    }
    return sum;
  }

  @Override
  public void update(
      AdamWSettings settings,
      State state,
      List<WeightDecayRange> decays,
      long update,
      double learningRate,
      double gradientScale) {
    AdamW.Shard shard =
        new AdamW.Shard(
            state.master().segment(),
            state.expAvg().segment(),
            state.expAvgSq().segment(),
            state.gradient().segment(),
            state.bfloat16().map(FlatBuffer::segment));
    new AdamW(settings, pool).step(shard, decays, update, learningRate, gradientScale);
  }

  @Override
  public void fill(FlatBuffer target, Consumer<MemorySegment> values) {
    values.accept(target.segment());
  }

  @Override
  public StateSource source(FlatBuffer values) {
    return StateSource.of(values.segment());
  }

  @Override
  public void close() {}
}
