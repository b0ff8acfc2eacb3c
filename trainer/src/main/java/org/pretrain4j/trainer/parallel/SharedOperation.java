package org.pretrain4j.trainer.parallel;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;

/**
 * One collective of an {@link InProcessGroup}: the buffers of all ranks and the work on them, cut
 * into chunks that any waiting thread may take. Fields without a note are guarded by the group's
 * lock.
 */
final class SharedOperation {
  /** 256 KB of float32: far more work than taking the chunk costs, and enough chunks to share. */
  static final long CHUNK = 32L * RankSum.BLOCK;

  final long sequence;
  final CollectiveCall call;
  final int firstRank;
  final FlatBuffer[] inputs;
  final FlatBuffer[] outputs;

  /** [worldSize x n] where longs are gathered. */
  final long[] values;

  final Condition changed;
  byte[] message;
  int posted;

  /** All ranks have come. */
  boolean ready;

  /** Every chunk is finished. */
  volatile boolean done;

  private final boolean[] present;
  private final long chunksPerPart;
  private final long chunks;
  private final AtomicLong taken = new AtomicLong();
  private final AtomicLong finished = new AtomicLong();

  SharedOperation(
      long sequence, CollectiveCall call, int firstRank, int worldSize, Condition changed) {
    this.sequence = sequence;
    this.call = call;
    this.firstRank = firstRank;
    this.changed = changed;
    present = new boolean[worldSize];
    inputs = new FlatBuffer[worldSize];
    outputs = new FlatBuffer[worldSize];
    boolean longs = call.kind() == CollectiveCall.Kind.ALL_GATHER_LONGS;
    values = longs ? new long[Math.toIntExact(worldSize * call.elements())] : null;
    chunksPerPart = Math.ceilDiv(call.type() == null ? 0 : call.elements(), CHUNK);
    chunks = chunksPerPart * (isInParts() ? worldSize : 1);
  }

  private boolean isInParts() {
    return call.kind() == CollectiveCall.Kind.REDUCE_SCATTER
        || call.kind() == CollectiveCall.Kind.ALL_GATHER;
  }

  void arrive(int rank) {
    present[rank] = true;
    posted++;
  }

  List<Integer> missing() {
    List<Integer> missing = new ArrayList<>();
    for (int rank = 0; rank < present.length; rank++) {
      if (!present[rank]) {
        missing.add(rank);
      }
    }
    return missing;
  }

  boolean isEmpty() {
    return chunks == 0;
  }

  /** The next chunk for the calling thread, or -1 if all are taken. Needs no lock. */
  long takeChunk() {
    long chunk = taken.get() < chunks ? taken.getAndIncrement() : chunks;
    return chunk < chunks ? chunk : -1;
  }

  /** Whether this was the last one. Needs no lock. */
  boolean finishChunk() {
    return finished.incrementAndGet() == chunks;
  }

  RankSum scratch() {
    return call.reduction() == null ? null : new RankSum(call.type(), call.elements());
  }

  /** Does one chunk. Needs no lock: chunks don't overlap. */
  void work(long chunk, RankSum scratch) {
    int part = (int) (chunk / chunksPerPart);
    long from = chunk % chunksPerPart * CHUNK;
    long count = Math.min(CHUNK, call.elements() - from);
    switch (call.kind()) {
      case ALL_REDUCE -> scratch.reduce(inputs, from, inputs, from, count, call.reduction());
      case REDUCE_SCATTER -> {
        FlatBuffer[] output = {outputs[part]};
        scratch.reduce(
            inputs, part * call.elements() + from, output, from, count, call.reduction());
      }
      case ALL_GATHER -> copy(inputs[part], from, outputs, part * call.elements() + from, count);
      case BROADCAST -> copy(inputs[call.root()], from, inputs, from, count);
      default -> throw new IllegalStateException(call + " has no chunks");
    }
  }

  private static void copy(
      FlatBuffer from, long fromOffset, FlatBuffer[] into, long intoOffset, long count) {
    FlatBuffer source = from.slice(fromOffset, count);
    for (FlatBuffer buffer : into) {
      FlatBuffer target = buffer.slice(intoOffset, count);
      if (target.address() != source.address()) {
        target.segment().copyFrom(source.segment());
      }
    }
  }
}
