package org.pretrain4j.trainer.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/**
 * Moves large arrays between the host and a GPU through pinned memory, on a stream of its own, so
 * that neither stands in the way of the kernels' stream. Any thread may call; one is served at a
 * time.
 */
public final class PinnedTransfer implements AutoCloseable {
  /** Bytes of each of the two buffers that every array goes through. */
  private static final long PIECE = 16L << 20;

  private final GpuDriver gpu;
  private final long piece;
  private final long stream;
  private final long computed;
  private final long[] copied;
  private final MemorySegment[] pinned = new MemorySegment[2];

  /** Pinned memory is taken when it is first needed. */
  public PinnedTransfer(GpuDriver gpu) {
    this(gpu, PIECE);
  }

  PinnedTransfer(GpuDriver gpu, long piece) {
    this.gpu = gpu;
    this.piece = piece;
    this.stream = gpu.createStream();
    this.computed = gpu.createEvent();
    this.copied = new long[] {gpu.createEvent(), gpu.createEvent()};
  }

  /**
   * Puts values into the GPU's memory, before anything that enters the default stream afterwards.
   *
   * @param values writes all of them to the host's memory that it is given, from any threads
   */
  public synchronized void fill(long address, long bytes, Consumer<MemorySegment> values) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment memory = arena.allocate(bytes, Long.BYTES);
      values.accept(memory);
      afterKernels();
      long pieces = Math.ceilDiv(bytes, piece);
      for (long i = 0; i < pieces; i++) {
        // One piece is copied within the host while the one before goes to the GPU.
        int buffer = (int) (i % 2);
        MemorySegment part = memory.asSlice(i * piece, Math.min(piece, bytes - i * piece));
        gpu.await(copied[buffer]);
        MemorySegment staged = pinned(buffer).asSlice(0, part.byteSize()).copyFrom(part);
        gpu.copyToGpu(address + i * piece, staged, stream);
        gpu.record(copied[buffer], stream);
      }
      gpu.synchronize(stream);
    }
  }

  /**
   * Reads values as what is in the default stream now leaves them; they are there when this
   * returns.
   *
   * @param target memory of the host
   */
  public synchronized void read(long address, MemorySegment target) {
    afterKernels();
    long bytes = target.byteSize();
    long pieces = Math.ceilDiv(bytes, piece);
    for (long i = 0; i <= pieces; i++) {
      // The copy of one piece goes on while the one before is moved within the host.
      if (i < pieces) {
        int buffer = (int) (i % 2);
        long length = Math.min(piece, bytes - i * piece);
        gpu.copyFromGpu(address + i * piece, pinned(buffer).asSlice(0, length), stream);
        gpu.record(copied[buffer], stream);
      }
      if (i > 0) {
        int buffer = (int) ((i - 1) % 2);
        long length = Math.min(piece, bytes - (i - 1) * piece);
        gpu.await(copied[buffer]);
        target.asSlice((i - 1) * piece, length).copyFrom(pinned(buffer).asSlice(0, length));
      }
    }
  }

  private void afterKernels() {
    gpu.use();
    gpu.record(computed, Gpu.DEFAULT_STREAM);
    gpu.waitFor(stream, computed);
  }

  private MemorySegment pinned(int buffer) {
    if (pinned[buffer] == null) {
      pinned[buffer] = gpu.allocatePinned(piece);
    }
    return pinned[buffer];
  }

  @Override
  public synchronized void close() {
    gpu.synchronize(stream);
    for (MemorySegment memory : pinned) {
      if (memory != null) {
        gpu.freePinned(memory);
      }
    }
    gpu.destroyEvent(computed);
    gpu.destroyEvent(copied[0]);
    gpu.destroyEvent(copied[1]);
    gpu.destroyStream(stream);
  }
}
