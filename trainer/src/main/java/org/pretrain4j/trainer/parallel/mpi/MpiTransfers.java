package org.pretrain4j.trainer.parallel.mpi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.RankSum;
import org.pretrain4j.trainer.parallel.Reduction;
import org.pretrain4j.trainer.parallel.ScratchPool;
import org.pretrain4j.trainer.parallel.mpi.MpiOperation.Transfer;

/** How each collective is made of MPI's transfers and of sums in the order of ranks. */
final class MpiTransfers {
  /** Up to this many bytes of all ranks together, one all-gather is quicker than two transfers. */
  private static final long SMALL = 64 * 1024;

  private final OpenMpi mpi;
  private final int rank;
  private final int worldSize;
  private final MemorySegment first;
  private final MemorySegment second;
  private final ScratchPool pool = new ScratchPool();
  private final MemorySegment bytes;
  private final MemorySegment floats;
  private final MemorySegment halves;

  MpiTransfers(OpenMpi mpi, int rank, int worldSize) {
    this.mpi = mpi;
    this.rank = rank;
    this.worldSize = worldSize;
    // Two communicators: first transfers begin when called, second ones when the first are there.
    first = mpi.duplicate(mpi.world());
    second = mpi.duplicate(mpi.world());
    bytes = mpi.symbol("ompi_mpi_byte");
    floats = mpi.symbol("ompi_mpi_float");
    halves = mpi.symbol("ompi_mpi_uint16_t");
  }

  private MemorySegment mpiType(ElementType type) {
    return switch (type) {
      case FLOAT32 -> floats;
      case BFLOAT16 -> halves;
    };
  }

  private static int count(long elements) {
    if (elements > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          elements + " elements in one MPI transfer; at most 2147483647 fit, use smaller buckets");
    }
    return (int) elements;
  }

  /** Gives the operation's scratch memory back. */
  void release(MpiOperation operation) {
    operation.transfer().scratch().forEach(pool::give);
    pool.give(operation.transfer().request());
  }

  private static Transfer single(MemorySegment request) {
    return new Transfer(request, List.of(), () -> false);
  }

  Transfer barrier() {
    MemorySegment request = pool.take(8);
    mpi.barrier(first, request);
    return single(request);
  }

  Transfer broadcast(CollectiveCall call, FlatBuffer buffer) {
    MemorySegment request = pool.take(8);
    int count = count(buffer.elements());
    mpi.broadcast(buffer.segment(), count, mpiType(buffer.type()), call.root(), first, request);
    return single(request);
  }

  Transfer broadcastBytes(CollectiveCall call, MemorySegment message) {
    MemorySegment request = pool.take(8);
    mpi.broadcast(message, count(message.byteSize()), bytes, call.root(), first, request);
    return single(request);
  }

  Transfer allGatherLongs(MemorySegment mine, MemorySegment all) {
    MemorySegment request = pool.take(8);
    mpi.allGather(mine, all, count(mine.byteSize()), bytes, first, request);
    return single(request);
  }

  Transfer allGather(FlatBuffer input, FlatBuffer output) {
    MemorySegment request = pool.take(8);
    int count = count(input.elements());
    boolean inPlace = input.address() == output.address() + rank * input.bytes();
    mpi.allGather(
        inPlace ? OpenMpi.IN_PLACE : input.segment(),
        output.segment(),
        count,
        mpiType(input.type()),
        first,
        request);
    return single(request);
  }

  Transfer reduceScatter(FlatBuffer input, FlatBuffer output) {
    MemorySegment request = pool.take(8);
    MemorySegment received = pool.take(input.bytes());
    MemorySegment type = mpiType(input.type());
    mpi.allToAll(input.segment(), received, count(output.elements()), type, first, request);
    return new Transfer(
        request,
        List.of(received),
        () -> {
          sum(received, output, Reduction.SUM);
          return false;
        });
  }

  Transfer allReduce(CollectiveCall call, FlatBuffer buffer) {
    return buffer.bytes() * worldSize <= SMALL
        ? allReduceSmall(call, buffer)
        : allReduceInParts(call, buffer);
  }

  private Transfer allReduceSmall(CollectiveCall call, FlatBuffer buffer) {
    MemorySegment request = pool.take(8);
    MemorySegment received = pool.take(buffer.bytes() * worldSize);
    MemorySegment type = mpiType(buffer.type());
    mpi.allGather(buffer.segment(), received, count(buffer.elements()), type, first, request);
    return new Transfer(
        request,
        List.of(received),
        () -> {
          sum(received, buffer, call.reduction());
          return false;
        });
  }

  /** Every rank reduces its part of the buffer, then all gather the parts. */
  private Transfer allReduceInParts(CollectiveCall call, FlatBuffer buffer) {
    MemorySegment request = pool.take(8);
    long all = count(buffer.elements());
    MemorySegment sizes = pool.take(4L * Integer.BYTES * worldSize);
    MemorySegment counts = ints(sizes, 0);
    MemorySegment offsets = ints(sizes, 1);
    MemorySegment mine = ints(sizes, 2);
    MemorySegment mineOffsets = ints(sizes, 3);
    int myCount = partStart(all, rank + 1) - partStart(all, rank);
    for (int other = 0; other < worldSize; other++) {
      int start = partStart(all, other);
      offsets.setAtIndex(ValueLayout.JAVA_INT, other, start);
      counts.setAtIndex(ValueLayout.JAVA_INT, other, partStart(all, other + 1) - start);
      mine.setAtIndex(ValueLayout.JAVA_INT, other, myCount);
      mineOffsets.setAtIndex(ValueLayout.JAVA_INT, other, other * myCount);
    }
    FlatBuffer part = buffer.slice(partStart(all, rank), myCount);
    MemorySegment received = pool.take(part.bytes() * worldSize);
    MemorySegment type = mpiType(buffer.type());
    MemorySegment whole = buffer.segment();
    mpi.allToAll(whole, counts, offsets, received, mine, mineOffsets, type, first, request);
    return new Transfer(
        request,
        List.of(received, sizes),
        () -> {
          sum(received, part, call.reduction());
          mpi.allGatherInPlace(whole, counts, offsets, type, second, request);
          return true;
        });
  }

  private int partStart(long elements, int part) {
    return (int) (elements * part / worldSize);
  }

  private MemorySegment ints(MemorySegment sizes, int index) {
    long length = (long) Integer.BYTES * worldSize;
    return sizes.asSlice(index * length, length);
  }

  /** The values of all ranks lie one after the other in {@code received}. */
  private void sum(MemorySegment received, FlatBuffer output, Reduction reduction) {
    if (output.elements() == 0) {
      return;
    }
    FlatBuffer[] inputs = new FlatBuffer[worldSize];
    for (int other = 0; other < worldSize; other++) {
      long address = received.address() + other * output.bytes();
      inputs[other] = new FlatBuffer(address, output.elements(), output.type());
    }
    FlatBuffer[] outputs = {output};
    new RankSum(output.type(), output.elements())
        .reduce(inputs, 0, outputs, 0, output.elements(), reduction);
  }
}
