package org.pretrain4j.trainer.parallel;

/** Passes every call on, so that a test can change or note one of them. */
public class PassingCollectives implements Collectives {
  private final Collectives engine;

  public PassingCollectives(Collectives engine) {
    this.engine = engine;
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
    return engine.allReduce(buffer, reduction);
  }

  @Override
  public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
    return engine.reduceScatter(input, output);
  }

  @Override
  public Pending allGather(FlatBuffer input, FlatBuffer output) {
    return engine.allGather(input, output);
  }

  @Override
  public Pending broadcast(FlatBuffer buffer, int root) {
    return engine.broadcast(buffer, root);
  }

  @Override
  public void barrier() {
    engine.barrier();
  }

  @Override
  public byte[] broadcastBytes(byte[] bytes, int root) {
    return engine.broadcastBytes(bytes, root);
  }

  @Override
  public long[] allGatherLongs(long... values) {
    return engine.allGatherLongs(values);
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
