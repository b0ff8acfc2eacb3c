package org.pretrain4j.trainer.parallel.faults;

import java.util.function.Supplier;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.Reduction;

/** Any engine, with a record of what is under way and of the time spent waiting. */
public final class MonitoredCollectives implements Collectives {
  private final Collectives engine;
  private final FlightRecorder recorder;

  public MonitoredCollectives(Collectives engine, FlightRecorder recorder) {
    this.engine = engine;
    this.recorder = recorder;
  }

  @Override
  public int rank() {
    return engine.rank();
  }

  @Override
  public int worldSize() {
    return engine.worldSize();
  }

  @Override
  public Pending allReduce(FlatBuffer buffer, Reduction reduction) {
    recorder.began(CollectiveCall.allReduce(buffer, reduction));
    return watched(engine.allReduce(buffer, reduction));
  }

  @Override
  public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
    recorder.began(CollectiveCall.reduceScatter(input, output, worldSize()));
    return watched(engine.reduceScatter(input, output));
  }

  @Override
  public Pending allGather(FlatBuffer input, FlatBuffer output) {
    recorder.began(CollectiveCall.allGather(input, output, worldSize()));
    return watched(engine.allGather(input, output));
  }

  @Override
  public Pending broadcast(FlatBuffer buffer, int root) {
    recorder.began(CollectiveCall.broadcast(buffer, root, worldSize()));
    return watched(engine.broadcast(buffer, root));
  }

  @Override
  public void barrier() {
    recorder.began(CollectiveCall.barrier());
    timed(engine::barrier);
  }

  @Override
  public byte[] broadcastBytes(byte[] bytes, int root) {
    recorder.began(CollectiveCall.broadcastBytes(root, worldSize()));
    return timed(() -> engine.broadcastBytes(bytes, root));
  }

  @Override
  public long[] allGatherLongs(long... values) {
    recorder.began(CollectiveCall.allGatherLongs(values.length));
    return timed(() -> engine.allGatherLongs(values));
  }

  private Pending watched(Pending pending) {
    return pending == Pending.COMPLETE
        ? pending
        : new Pending() {
          @Override
          public void await() {
            timed(pending::await);
          }

          @Override
          public void follow() {
            timed(pending::follow);
          }
        };
  }

  private void timed(Runnable call) {
    timed(
        () -> {
          call.run();
          return null;
        });
  }

  private <T> T timed(Supplier<T> call) {
    long start = System.nanoTime();
    recorder.waits(true);
    try {
      return call.get();
    } finally {
      recorder.waits(false);
      recorder.exposed(System.nanoTime() - start);
    }
  }

  @Override
  public void abort(String reason) {
    engine.abort(reason);
  }

  @Override
  public void close() {
    engine.close();
  }
}
