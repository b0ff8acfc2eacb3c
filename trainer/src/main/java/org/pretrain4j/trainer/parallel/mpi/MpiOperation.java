package org.pretrain4j.trainer.parallel.mpi;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.ProcessCollectives;

/**
 * A collective under way: a first transfer, then work of this rank alone, then perhaps a second
 * transfer. Guarded by the lock of {@link MpiCollectives}.
 */
final class MpiOperation extends ProcessCollectives.Operation {

  /** The cell that holds MPI's request. */
  final MemorySegment request;

  /** Memory that goes back to the pool at the end. */
  final List<MemorySegment> scratch;

  /** What follows the first transfer; says whether it has begun a second one. */
  private final BooleanSupplier afterFirst;

  private boolean arrived;
  private boolean pastFirst;
  private boolean done;

  MpiOperation(
      long sequence,
      CollectiveCall call,
      MemorySegment request,
      List<MemorySegment> scratch,
      BooleanSupplier afterFirst) {
    super(sequence, call);
    this.request = request;
    this.scratch = scratch;
    this.afterFirst = afterFirst;
  }

  /**
   * Goes on as far as possible.
   *
   * @param mayBegin whether all operations before this one have begun their second transfers, which
   *     all ranks must begin in the same order
   */
  void advance(OpenMpi mpi, boolean mayBegin) {
    if (!pastFirst) {
      arrived = arrived || mpi.test(request);
      if (!arrived || !mayBegin) {
        return;
      }
      pastFirst = true;
      done = !afterFirst.getAsBoolean();
    }
    done = done || mpi.test(request);
  }

  boolean isPastFirst() {
    return pastFirst;
  }

  boolean isDone() {
    return done;
  }
}
