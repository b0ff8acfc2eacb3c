package org.pretrain4j.trainer.parallel.nccl;

import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.ProcessCollectives;

/** A collective in the stream of NCCL, and the event behind it. */
final class NcclOperation extends ProcessCollectives.Operation {
  final long event;

  /** The event is not this operation's any more. */
  boolean done;

  NcclOperation(long sequence, CollectiveCall call, long event) {
    super(sequence, call);
    this.event = event;
  }

  /** The function of NCCL that moves the bytes. */
  String function() {
    return switch (call().kind()) {
      case ALL_REDUCE -> "ncclAllReduce";
      case REDUCE_SCATTER -> "ncclReduceScatter";
      case ALL_GATHER, ALL_GATHER_LONGS, BARRIER -> "ncclAllGather";
      case BROADCAST, BROADCAST_BYTES -> "ncclBroadcast";
    };
  }
}
