package org.pretrain4j.trainer.parallel;

import java.util.List;
import java.util.concurrent.locks.Condition;

/** One rank's view of an {@link InProcessGroup}; one thread uses it. */
final class InProcessRank implements Collectives {
  private static final long[] NOTHING = {};

  private final InProcessGroup group;
  private final int rank;

  /** Collectives that this rank has begun; also the sequence number of its next one. */
  private long begun;

  private boolean left;

  InProcessRank(InProcessGroup group, int rank) {
    this.group = group;
    this.rank = rank;
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int worldSize() {
    return group.ranks.length;
  }

  @Override
  public Pending allReduce(FlatBuffer buffer, Reduction reduction) {
    return pending(post(CollectiveCall.allReduce(buffer, reduction), buffer, null, NOTHING, null));
  }

  @Override
  public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
    CollectiveCall call = CollectiveCall.reduceScatter(input, output, group.ranks.length);
    return pending(post(call, input, output, NOTHING, null));
  }

  @Override
  public Pending allGather(FlatBuffer input, FlatBuffer output) {
    CollectiveCall call = CollectiveCall.allGather(input, output, group.ranks.length);
    return pending(post(call, input, output, NOTHING, null));
  }

  @Override
  public Pending broadcast(FlatBuffer buffer, int root) {
    CollectiveCall call = CollectiveCall.broadcast(buffer, root, group.ranks.length);
    return pending(post(call, buffer, null, NOTHING, null));
  }

  @Override
  public void barrier() {
    await(post(CollectiveCall.barrier(), null, null, NOTHING, null));
  }

  @Override
  public byte[] broadcastBytes(byte[] bytes, int root) {
    byte[] message = rank == root ? bytes.clone() : null;
    CollectiveCall call = CollectiveCall.broadcastBytes(root, group.ranks.length);
    SharedOperation operation = post(call, null, null, NOTHING, message);
    await(operation);
    return operation.message.clone();
  }

  @Override
  public long[] allGatherLongs(long... values) {
    CollectiveCall call = CollectiveCall.allGatherLongs(values.length);
    SharedOperation operation = post(call, null, null, values, null);
    await(operation);
    return operation.values.clone();
  }

  @Override
  public void abort(String reason) {
    group.fail(GroupFailure.failed(rank, reason));
  }

  @Override
  public void close() {
    group.lock.lock();
    try {
      if (left) {
        return;
      }
      left = true;
      boolean needed =
          group.working.stream().anyMatch(operation -> !operation.done)
              || group.gathering.keySet().stream().anyMatch(sequence -> sequence >= begun)
              || group.gathering.values().stream().anyMatch(o -> !o.missing().contains(rank));
      if (needed && group.failure == null) {
        group.fail(departed());
      }
    } finally {
      group.lock.unlock();
    }
  }

  private GroupFailure departed() {
    return GroupFailure.left(rank, begun);
  }

  private Pending pending(SharedOperation operation) {
    return () -> await(operation);
  }

  private SharedOperation post(
      CollectiveCall call, FlatBuffer input, FlatBuffer output, long[] values, byte[] message) {
    group.lock.lock();
    try {
      if (left) {
        throw new IllegalStateException("rank " + rank + " has closed its collectives");
      }
      long sequence = begun;
      SharedOperation operation =
          group.gathering.computeIfAbsent(
              sequence,
              n ->
                  new SharedOperation(
                      n, call, rank, group.ranks.length, group.lock.newCondition()));
      if (group.failure == null && !operation.call.equals(call)) {
        group.fail(mismatch(operation, call));
      }
      if (group.failure == null) {
        for (InProcessRank other : group.ranks) {
          if (other.left && other.begun <= sequence) {
            group.fail(other.departed());
            break;
          }
        }
      }
      if (group.failure != null) {
        throw group.failure.seenBy(rank, operation.call.at(operation.sequence));
      }
      begun++;
      operation.arrive(rank);
      operation.inputs[rank] = input;
      operation.outputs[rank] = output;
      if (operation.values != null) {
        System.arraycopy(values, 0, operation.values, rank * values.length, values.length);
      }
      if (message != null) {
        operation.message = message;
      }
      if (operation.posted == group.ranks.length) {
        group.gathering.remove(sequence);
        operation.ready = true;
        operation.done = operation.isEmpty();
        if (!operation.done) {
          group.working.add(operation);
        }
        operation.changed.signalAll();
      }
      return operation;
    } finally {
      group.lock.unlock();
    }
  }

  private GroupFailure mismatch(SharedOperation operation, CollectiveCall call) {
    return GroupFailure.mismatch(
        operation.sequence,
        List.of(rank, operation.firstRank),
        "rank %d called %s, rank %d called %s"
            .formatted(operation.firstRank, operation.call, rank, call));
  }

  private void await(SharedOperation operation) {
    if (operation.done) {
      return;
    }
    waitUntil(operation, false);
    help(operation);
    waitUntil(operation, true);
  }

  /** Takes chunks until none is left. */
  private void help(SharedOperation operation) {
    RankSum scratch = null;
    long chunk;
    while ((chunk = operation.takeChunk()) >= 0) {
      group.memory.readLock().lock();
      try {
        if (group.failure != null) {
          return;
        }
        if (scratch == null) {
          scratch = operation.scratch();
        }
        operation.work(chunk, scratch);
      } finally {
        group.memory.readLock().unlock();
      }
      if (operation.finishChunk()) {
        group.lock.lock();
        try {
          operation.done = true;
          group.working.remove(operation);
          operation.changed.signalAll();
        } finally {
          group.lock.unlock();
        }
      }
    }
  }

  /** Waits until the operation is done, or at least ready. */
  private void waitUntil(SharedOperation operation, boolean done) {
    group.lock.lock();
    try {
      long nanos = group.timeout.toNanos();
      Condition changed = operation.changed;
      while (!(operation.done || (operation.ready && !done))) {
        if (group.failure == null && nanos <= 0) {
          group.fail(timedOut(operation));
        }
        if (group.failure != null) {
          throw group.failure.seenBy(rank, operation.call.at(operation.sequence));
        }
        nanos = changed.awaitNanos(nanos);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      abort("its thread was interrupted");
      throw group.failure.seenBy(rank, operation.call.at(operation.sequence));
    } finally {
      group.lock.unlock();
    }
  }

  private GroupFailure timedOut(SharedOperation operation) {
    List<Integer> missing = operation.missing();
    List<String> names =
        missing.stream()
            .map(
                other ->
                    "rank %d (begun %d collectives)".formatted(other, group.ranks[other].begun))
            .toList();
    String seconds = Double.toString(group.timeout.toNanos() / 1e9).replaceFirst("\\.0$", "");
    return new GroupFailure(
        CollectiveException.Kind.TIMEOUT,
        missing,
        "rank %d waited %s s in %s%s"
            .formatted(
                rank,
                seconds,
                operation.call.at(operation.sequence),
                missing.isEmpty()
                    ? ": all ranks came, but the work did not end"
                    : ", missing: " + GroupFailure.some(names)));
  }
}
