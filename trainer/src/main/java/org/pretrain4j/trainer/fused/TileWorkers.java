package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;
import org.pretrain4j.trainer.fused.TileProduct.Factor;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.TilePacking;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.libtorch.TileGemm;

/** The threads of products in tiles, and the memory that they arrange factors in. */
final class TileWorkers {
  static final int PANEL = TileGemm.PANEL;

  /** Panels that a thread holds at a time. */
  static final int PANELS = 4;

  /** Rows of a block of the first factor. */
  static final int ROWS = 256;

  final TileGemm gemm;

  /** Of each thread. */
  final List<Room> rooms;

  /** Of all threads: a factor that is arranged before, and sums. */
  final Memory shared;

  final Memory sums;
  private final WorkerPool pool;
  private final ConcurrentLinkedQueue<Room> idle;

  TileWorkers(TileGemm gemm, NDManager manager, WorkerPool pool) {
    this.gemm = gemm;
    this.pool = pool;
    this.shared = new Memory(manager);
    this.sums = new Memory(manager);
    this.rooms = IntStream.range(0, pool.threads()).mapToObj(i -> new Room(manager)).toList();
    this.idle = new ConcurrentLinkedQueue<>(rooms);
  }

  /** Memory that grows to what was asked for. */
  static final class Memory {
    private final NDManager manager;
    private Tensor tensor;
    private MemorySegment segment = MemorySegment.NULL;

    Memory(NDManager manager) {
      this.manager = manager;
    }

    /** What was asked for the last time, or more. */
    MemorySegment segment() {
      return segment;
    }

    MemorySegment ofBytes(long bytes) {
      if (segment.byteSize() < bytes) {
        if (tensor != null) {
          tensor.close();
        }
        tensor = Tensor.empty(manager, ScalarType.FLOAT32, Math.ceilDiv(bytes, Float.BYTES));
        segment = tensor.segment();
      }
      return segment;
    }
  }

  /** Memory of one thread. */
  static final class Room {
    final Memory packed;
    final Memory tile;
    final TilePacking packing = new TilePacking();

    Room(NDManager manager) {
      packed = new Memory(manager);
      tile = new Memory(manager);
    }

    /**
     * Arranges panels of the second factor.
     *
     * @param inner where the inner axis begins
     * @param depth how much of it
     * @param column of the first panel
     * @param columns of all panels together
     * @param panels from where the first begins
     * @param stride bytes from one panel to the next
     */
    void pack(
        Factor right,
        int inner,
        int depth,
        int column,
        int columns,
        MemorySegment panels,
        long stride) {
      Matrix matrix = right.matrix();
      if (!right.transposed()) {
        int first = right.column() + column;
        long pairs = stride / Integer.BYTES;
        TilePacking.panels(matrix, inner, depth, first, columns, panels, PANEL, pairs);
        return;
      }
      for (int from = 0; from < columns; from += PANEL) {
        MemorySegment panel = panels.asSlice(from / PANEL * stride);
        int width = Math.min(PANEL, columns - from);
        int first = right.column() + inner;
        packing.panelOfTranspose(matrix, column + from, width, first, depth, panel, PANEL);
      }
    }
  }

  /** Runs items on all threads, each with a room. */
  void parallel(int items, Work work) {
    pool.run(
        items,
        1,
        (from, to) -> {
          Room room = idle.remove();
          try {
            for (int item = (int) from; item < to; item++) {
              work.run(item, room);
            }
          } finally {
            gemm.release();
            idle.add(room);
          }
        });
  }

  @FunctionalInterface
  interface Work {
    void run(int item, Room room);
  }

  /** Bytes of a panel. */
  static long panelBytes(int depth) {
    return (long) depth * PANEL * Short.BYTES;
  }
}
