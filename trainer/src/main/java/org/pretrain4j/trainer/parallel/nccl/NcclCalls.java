package org.pretrain4j.trainer.parallel.nccl;

import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Reduction;

/** Collectives as calls of NCCL's functions on one stream; each returns a result code. */
final class NcclCalls {
  private final Nccl nccl;
  private final long stream;

  NcclCalls(Nccl nccl, long stream) {
    this.nccl = nccl;
    this.stream = stream;
  }

  private static int type(ElementType type) {
    return switch (type) {
      case FLOAT32 -> Nccl.FLOAT32;
      case BFLOAT16 -> Nccl.BFLOAT16;
    };
  }

  private static int reduction(Reduction reduction) {
    return switch (reduction) {
      case SUM -> Nccl.SUM;
      case MAX -> Nccl.MAX;
    };
  }

  /** A collective on buffers. */
  int launch(CollectiveCall call, FlatBuffer input, FlatBuffer output, long communicator) {
    long from = input.address();
    long count = input.elements();
    int type = type(input.type());
    return switch (call.kind()) {
      case ALL_REDUCE ->
          nccl.allReduce(
              from, from, count, type, reduction(call.reduction()), communicator, stream);
      case REDUCE_SCATTER ->
          nccl.reduceScatter(
              from, output.address(), output.elements(), type, Nccl.SUM, communicator, stream);
      case ALL_GATHER -> nccl.allGather(from, output.address(), count, type, communicator, stream);
      case BROADCAST -> nccl.broadcast(from, from, count, type, call.root(), communicator, stream);
      case BARRIER, BROADCAST_BYTES, ALL_GATHER_LONGS ->
          throw new IllegalStateException(call + " has no buffers");
    };
  }

  /** Moves longs as pairs of float32: an all-gather doesn't look at what it moves. */
  int gatherLongs(long mine, long all, int count, long communicator) {
    return nccl.allGather(mine, all, 2L * count, Nccl.FLOAT32, communicator, stream);
  }

  /** Moves any four bytes as a float32, likewise. */
  int broadcastWords(long words, long count, int root, long communicator) {
    return nccl.broadcast(words, words, count, Nccl.FLOAT32, root, communicator, stream);
  }
}
