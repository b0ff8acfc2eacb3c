package org.pretrain4j.trainer.sharding;

import static org.junit.jupiter.api.Assertions.assertEquals;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.checkpoints.StateSource;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.model.GradientSink;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.WeightDecayRange;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.PassingCollectives;
import org.pretrain4j.trainer.parallel.Pending;

/** Gradients on devices that work by themselves: the host queues kernels and goes on. */
@Timeout(120)
final class QueuedGradientsTest {
  private static final ModelConfig MODEL =
      new ModelConfig(320, 32, 48, 4, 4, 2, 0, 50_000, 4, 1e-6, 0.02, 64, true);

  private static final int RANKS = 3;
  private static final int STEPS = 2;

  /** A rank's device: kernels are done one after the other, collectives beside them. */
  private static final class Device extends PassingCollectives
      implements ShardOperators, AutoCloseable {
    private final ExecutorService kernels = Executors.newSingleThreadExecutor();
    private final ExecutorService network = Executors.newSingleThreadExecutor();
    private final AtomicInteger underWay = new AtomicInteger();
    private final ShardOperators host;
    private final long kernelNanos;

    Device(Collectives engine, WorkerPool pool) {
      super(engine);
      host = new HostShardOperators(pool);
      kernelNanos = engine.rank() == 1 ? 300_000 : 1_000; // one of them is slow
    }

    Future<?> queue(Runnable kernel) {
      return kernels.submit(
          () -> {
            LockSupport.parkNanos(kernelNanos);
            kernel.run();
          });
    }

    @Override
    public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
      underWay.incrementAndGet();
      Future<?> before = queue(() -> {});
      Future<?> done =
          network.submit(
              () -> {
                get(before);
                super.reduceScatter(input, output).await();
                underWay.decrementAndGet();
              });
      return new Pending() {
        @Override
        public void await() {
          get(done);
        }

        @Override
        public void follow() {
          queue(() -> get(done));
        }
      };
    }

    @Override
    public void add(FlatBuffer sum, FlatBuffer addend) {
      queue(() -> host.add(sum, addend));
    }

    @Override
    public double sumOfSquares(List<FlatBuffer> parts) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void update(
        AdamWSettings settings,
        State state,
        List<WeightDecayRange> decays,
        long update,
        double learningRate,
        double gradientScale) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void fill(FlatBuffer target, Consumer<MemorySegment> values) {
      throw new UnsupportedOperationException();
    }

    @Override
    public StateSource source(FlatBuffer values) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void close() {
      for (ExecutorService queue : List.of(kernels, network)) {
        queue.shutdownNow();
        try {
          queue.awaitTermination(30, TimeUnit.SECONDS); // they write to memory that is freed next
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      }
      host.close();
    }
  }

  private static void get(Future<?> future) {
    try {
      future.get();
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A whole number, so that sums are exact in any order. */
  private static float gradient(int step, int pass, int rank, long flat) {
    return (step + 1) * (rank + 1) * (pass + 1) + flat % 7;
  }

  @ParameterizedTest
  @CsvSource({"FULL, 1", "FULL, 3", "SHARDED, 1", "SHARDED, 3"})
  void areSummedOverPassesAndRanks(GradientSharding sharding, int passes) throws Exception {
    InProcessGroup.run(
        RANKS,
        Duration.ofSeconds(60),
        engine -> {
          try (NDManager manager = NDManager.newBaseManager("PyTorch");
              WorkerPool pool = new WorkerPool(1);
              Device device = new Device(engine, pool)) {
            ModelLayout layout = ModelLayout.of(MODEL);
            Buckets buckets = Buckets.of(layout, RANKS, 4096);
            GradientBuffer gradients =
                GradientBuffer.of(
                    sharding, manager, buckets, device, passes, device, Timeline.host());
            for (int step = 0; step < STEPS; step++) {
              gradients.startStep(passes);
              for (int pass = 0; pass < passes; pass++) {
                backward(layout, gradients, device, step, pass);
              }
              gradients.finishStep();
              assertEquals(0, device.underWay.get(), "the host has gone on without other ranks");
              get(device.queue(() -> {}));
              check(buckets, gradients, engine.rank(), step, passes);
            }
          }
        });
  }

  private static void backward(
      ModelLayout layout, GradientBuffer gradients, Device device, int step, int pass) {
    for (int part = layout.parts().size() - 1; part >= 0; part--) {
      FlatRange range = layout.parts().get(part);
      for (FlatLayout.Entry entry : layout.parameters().entries()) {
        if (entry.offset() >= range.start() && entry.offset() < range.end()) {
          try (GradientSink.Sum sum = gradients.sumOf(entry)) {
            MemorySegment values = sum.tensor().segment();
            boolean first = sum.first();
            device.queue(
                () -> {
                  for (long i = 0; i < values.byteSize() / Float.BYTES; i++) {
                    float before = first ? 0 : values.getAtIndex(ValueLayout.JAVA_FLOAT, i);
                    float more = gradient(step, pass, device.rank(), entry.offset() + i);
                    values.setAtIndex(ValueLayout.JAVA_FLOAT, i, before + more);
                  }
                });
          }
        }
      }
      gradients.partDone(part);
    }
  }

  private static void check(
      Buckets buckets, GradientBuffer gradients, int owner, int step, int passes) {
    for (Bucket bucket : buckets.buckets()) {
      FlatRange range = bucket.ownedBy(owner);
      MemorySegment own = gradients.own(bucket).segment();
      for (long i = 0; i < range.length(); i++) {
        float expected = 0;
        for (int pass = 0; pass < passes; pass++) {
          for (int rank = 0; rank < RANKS; rank++) {
            expected += gradient(step, pass, rank, range.start() + i);
          }
        }
        assertEquals(
            expected, own.getAtIndex(ValueLayout.JAVA_FLOAT, i), bucket + ", element " + i);
      }
    }
  }
}
