package org.pretrain4j.trainer.parallel;

/** Passes every call on, so that a test can change or note one of them. */
public class PassingCollectives implements Collectives {
  private final Collectives engine;

  public PassingCollectives(Collectives engine) {
    this.engine = engine;
  }

  /**
   * Hears of each collective before it begins.
   *
   * @param method its name
   */
  protected void begins(String method) {}

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
    begins("allReduce");
    return engine.allReduce(buffer, reduction);
  }

  @Override
  public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
    begins("reduceScatter");
    return engine.reduceScatter(input, output);
  }

  @Override
  public Pending allGather(FlatBuffer input, FlatBuffer output) {
    begins("allGather");
    return engine.allGather(input, output);
  }

  @Override
  public Pending broadcast(FlatBuffer buffer, int root) {
    begins("broadcast");
    return engine.broadcast(buffer, root);
  }

  @Override
  public void barrier() {
    begins("barrier");
    engine.barrier();
  }

  @Override
  public byte[] broadcastBytes(byte[] bytes, int root) {
    begins("broadcastBytes");
    return engine.broadcastBytes(bytes, root);
  }

  @Override
  public long[] allGatherLongs(long... values) {
    begins("allGatherLongs");
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
