package org.pretrain4j.trainer.parallel;

/** A world of one rank: nothing to reduce, at most a copy from input to output. */
public final class SoloCollectives implements Collectives {

  @Override
  public int rank() {
    return 0;
  }

  @Override
  public int worldSize() {
    return 1;
  }

  @Override
  public Pending allReduce(FlatBuffer buffer, Reduction reduction) {
    return Pending.COMPLETE;
  }

  @Override
  public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
    CollectiveCall.reduceScatter(input, output, 1);
    return copy(input, output);
  }

  @Override
  public Pending allGather(FlatBuffer input, FlatBuffer output) {
    CollectiveCall.allGather(input, output, 1);
    return copy(input, output);
  }

  private static Pending copy(FlatBuffer input, FlatBuffer output) {
    if (input.address() != output.address()) {
      output.segment().copyFrom(input.segment());
    }
    return Pending.COMPLETE;
  }

  @Override
  public Pending broadcast(FlatBuffer buffer, int root) {
    CollectiveCall.broadcast(buffer, root, 1);
    return Pending.COMPLETE;
  }

  @Override
  public void barrier() {}

  @Override
  public byte[] broadcastBytes(byte[] bytes, int root) {
    CollectiveCall.broadcastBytes(root, 1);
    return bytes.clone();
  }

  @Override
  public long[] allGatherLongs(long... values) {
    CollectiveCall.allGatherLongs(values.length);
    return values.clone();
  }

  @Override
  public void abort(String reason) {}

  @Override
  public void close() {}
}
