package org.pretrain4j.trainer.parallel.mpi;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.ProcessCollectives;
import org.pretrain4j.trainer.parallel.ScratchPool;

/**
 * A collective: a first transfer, then work of this rank alone, then perhaps a second transfer.
 * Those that need much memory wait for their turn before they begin. Guarded by the lock of {@link
 * MpiCollectives}.
 */
final class MpiOperation extends ProcessCollectives.Operation {

  /**
   * What has begun.
   *
   * @param request the cell that holds MPI's request
   * @param scratch memory that goes back to the pool at the end
   * @param afterFirst what follows the first transfer; says whether it has begun a second one
   */
  record Transfer(MemorySegment request, List<MemorySegment> scratch, BooleanSupplier afterFirst) {}

  private final int worldSize;
  private final Supplier<Transfer> start;
  private Transfer transfer;
  private boolean arrived;
  private boolean pastFirst;
  private boolean done;

  /**
   * @param start begins the first transfer
   */
  MpiOperation(long sequence, CollectiveCall call, int worldSize, Supplier<Transfer> start) {
    super(sequence, call);
    this.worldSize = worldSize;
    this.start = start;
  }

  /** Its turn has come. */
  void begin() {
    transfer = start.get();
  }

  boolean hasBegun() {
    return transfer != null;
  }

  Transfer transfer() {
    return transfer;
  }

  /** Whether it receives what others sent in memory of its own, and needs a turn for that. */
  boolean needsMemory() {
    return switch (call().kind()) {
      case REDUCE_SCATTER, ALL_REDUCE -> call().wholeBytes(worldSize) >= ScratchPool.LARGE;
      default -> false;
    };
  }

  /**
   * Goes on as far as possible.
   *
   * @param mayBegin whether all operations before this one have begun their second transfers, which
   *     all ranks must begin in the same order
   */
  void advance(OpenMpi mpi, boolean mayBegin) {
    if (!hasBegun()) {
      return;
    }
    if (!pastFirst) {
      arrived = arrived || mpi.test(transfer.request());
      if (!arrived || !mayBegin) {
        return;
      }
      pastFirst = true;
      done = !transfer.afterFirst().getAsBoolean();
    }
    done = done || mpi.test(transfer.request());
  }

  boolean isPastFirst() {
    return pastFirst;
  }

  boolean isDone() {
    return done;
  }
}
