package org.pretrain4j.trainer.optim;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import org.pretrain4j.trainer.kernels.Lanes;
import org.pretrain4j.trainer.kernels.WorkerPool;

/**
 * AdamW with decoupled weight decay (Loshchilov and Hutter, 2019) over flat shards, in one pass
 * over memory. With g the scaled gradient, t the number of this update counted from 1, lr the
 * learning rate and d the weight decay:
 *
 * <pre>
 * m = m + (1 - beta1) (g - m)
 * v = beta2 v + (1 - beta2) g^2
 * p = p - (lr d p + lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon))
 * </pre>
 *
 * <p>Each element depends on nothing but itself, by correctly rounded operations in a fixed order:
 * its bits are the same however the parameters are cut into shards and whatever the number of
 * threads.
 */
public final class AdamW {
  /** 128 KiB of each array: a few microseconds of work. */
  private static final long CHUNK = 32_768;

  private final AdamWSettings settings;
  private final WorkerPool pool;

  /**
   * Off-heap memory of the packed values of a rank's ranges, float32 with the exception of
   * bfloat16, and reachable from any thread.
   *
   * @param master the parameters, read and written
   * @param expAvg first moment, read and written
   * @param expAvgSq second moment, read and written
   * @param gradient sum of the gradients, read
   * @param bfloat16 where the rounded parameters go, if anywhere
   */
  public record Shard(
      MemorySegment master,
      MemorySegment expAvg,
      MemorySegment expAvgSq,
      MemorySegment gradient,
      Optional<MemorySegment> bfloat16) {

    public Shard {
      long bytes = master.byteSize();
      if (bytes % Float.BYTES != 0
          || expAvg.byteSize() != bytes
          || expAvgSq.byteSize() != bytes
          || gradient.byteSize() != bytes
          || bfloat16.isPresent() && bfloat16.get().byteSize() != bytes / 2) {
        throw new IllegalArgumentException(
            "parts of one shard of different length in bytes: master %d, expAvg %d, expAvgSq %d, gradient %d, bfloat16 %s"
                .formatted(
                    bytes,
                    expAvg.byteSize(),
                    expAvgSq.byteSize(),
                    gradient.byteSize(),
                    bfloat16.map(MemorySegment::byteSize)));
      }
    }

    /** Number of elements. */
    public long elements() {
      return master.byteSize() / Float.BYTES;
    }

    private Shard slice(long from, long length) {
      long offset = from * Float.BYTES;
      long bytes = length * Float.BYTES;
      return new Shard(
          master.asSlice(offset, bytes),
          expAvg.asSlice(offset, bytes),
          expAvgSq.asSlice(offset, bytes),
          gradient.asSlice(offset, bytes),
          bfloat16.map(memory -> memory.asSlice(offset / 2, bytes / 2)));
    }
  }

  /**
   * Fixes what stays the same from step to step.
   *
   * @param pool the threads that share the work; not closed here
   */
  public AdamW(AdamWSettings settings, WorkerPool pool) {
    this.settings = settings;
    this.pool = pool;
  }

  /**
   * Updates a shard.
   *
   * @param decays the weight decay of each stretch of the shard in the order in which they are
   *     packed; together as long as the shard
   * @param update number of this update, counted from 1, skipped steps left out
   * @param learningRate learning rate
   * @param gradientScale what the gradient is multiplied by as it is read: the clipping coefficient
   *     over the number of target tokens
   */
  public void step(
      Shard shard,
      List<WeightDecayRange> decays,
      long update,
      double learningRate,
      double gradientScale) {
    long covered = decays.stream().mapToLong(decay -> decay.range().length()).sum();
    if (covered != shard.elements()) {
      throw new IllegalArgumentException(
          "weight decay for " + covered + " of " + shard.elements() + " elements");
    }
    long offset = 0;
    for (WeightDecayRange decay : decays) {
      Shard stretch = shard.slice(offset, decay.range().length());
      AdamWCoefficients with =
          settings.coefficients(update, learningRate, decay.weightDecay(), gradientScale);
      pool.run(
          stretch.elements(),
          CHUNK,
          (from, to) -> update(stretch.slice(from, to - from), (int) (to - from), with));
      offset += decay.range().length();
    }
  }

  private static void update(Shard s, int elements, AdamWCoefficients with) {
    MemorySegment bfloat16 = s.bfloat16.orElse(null);
    int i = 0;
    for (; i <= elements - Lanes.COUNT; i += Lanes.COUNT) {
      FloatVector g = Lanes.load(s.gradient, i).mul(with.gradientScale());
      FloatVector m = firstMoment(Lanes.load(s.expAvg, i), g, with);
      FloatVector v = secondMoment(Lanes.load(s.expAvgSq, i), g, with);
      FloatVector p = parameter(Lanes.load(s.master, i), m, v, with);
      Lanes.store(m, s.expAvg, i);
      Lanes.store(v, s.expAvgSq, i);
      Lanes.store(p, s.master, i);
      if (bfloat16 != null) {
        Lanes.storeBfloat16(p, bfloat16, i);
      }
    }
    if (i < elements) {
      VectorMask<Float> rest = Lanes.FLOATS.indexInRange(i, elements);
      FloatVector g = Lanes.load(s.gradient, i, rest).mul(with.gradientScale());
      FloatVector m = firstMoment(Lanes.load(s.expAvg, i, rest), g, with);
      FloatVector v = secondMoment(Lanes.load(s.expAvgSq, i, rest), g, with);
      FloatVector p = parameter(Lanes.load(s.master, i, rest), m, v, with);
      Lanes.store(m, s.expAvg, i, rest);
      Lanes.store(v, s.expAvgSq, i, rest);
      Lanes.store(p, s.master, i, rest);
      if (bfloat16 != null) {
        Lanes.storeBfloat16(p, bfloat16, i, rest);
      }
    }
  }

  private static FloatVector firstMoment(FloatVector m, FloatVector g, AdamWCoefficients with) {
    return g.sub(m)
        .lanewise(
            VectorOperators.FMA, FloatVector.broadcast(Lanes.FLOATS, with.oneMinusBeta1()), m);
  }

  private static FloatVector secondMoment(FloatVector v, FloatVector g, AdamWCoefficients with) {
    return g.mul(with.oneMinusBeta2()).lanewise(VectorOperators.FMA, g, v.mul(with.beta2()));
  }

  private static FloatVector parameter(
      FloatVector p, FloatVector m, FloatVector v, AdamWCoefficients with) {
    FloatVector denominator =
        v.lanewise(VectorOperators.SQRT)
            .lanewise(
                VectorOperators.FMA,
                FloatVector.broadcast(Lanes.FLOATS, with.rootScale()),
                FloatVector.broadcast(Lanes.FLOATS, with.epsilon()));
    FloatVector adam = m.div(denominator).mul(with.stepSize());
    return p.sub(
        p.lanewise(VectorOperators.FMA, FloatVector.broadcast(Lanes.FLOATS, with.decay()), adam));
  }
}
