package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.TilePacking;
import org.pretrain4j.trainer.kernels.TileResult;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.libtorch.TileGemm;

/**
 * Products of bfloat16 matrices, cut so that what {@link TileGemm} reads stays in a core's second
 * cache (Goto and van de Geijn, 2008): panels of the second factor are arranged once and used for
 * all rows, results leave the cache rounded, with the residual stream added where there is one.
 * Which thread computes what changes no bit.
 */
final class TileProduct {
  private static final int PANEL = TileGemm.PANEL;

  /** Panels that a thread holds at a time. */
  private static final int PANELS = 4;

  /** Rows of a block of the first factor. */
  private static final int ROWS = 256;

  /** Most of the inner axis at a time. */
  private static final int INNER = 2048;

  /** Of fewer columns than these, all panels are arranged before, and threads share the rows. */
  private static final int FEW_COLUMNS = 1024;

  /** Of the inner axis that a thread arranges at a time, where threads share panels. */
  private static final int SLICE = 512;

  private static final int INNER_UNIT = 32;
  private static final int UNIT = 16;

  private final TileGemm gemm;
  private final WorkerPool pool;
  private final List<Room> rooms;
  private final ConcurrentLinkedQueue<Room> idle;
  private final Memory shared;
  private final Memory sums;

  TileProduct(TileGemm gemm, NDManager manager, WorkerPool pool) {
    this.gemm = gemm;
    this.pool = pool;
    this.shared = new Memory(manager);
    this.sums = new Memory(manager);
    this.rooms = IntStream.range(0, pool.threads()).mapToObj(i -> new Room(manager)).toList();
    this.idle = new ConcurrentLinkedQueue<>(rooms);
  }

  /**
   * A factor.
   *
   * @param matrix holds it
   * @param column of the matrix where it begins
   * @param transposed whether the factor is the transpose of what is in the matrix
   */
  record Factor(Matrix matrix, int column, boolean transposed) {
    long address(long row, long inner) {
      long element = row * matrix.columns() + column + inner;
      return matrix.memory().address() + element * Short.BYTES;
    }
  }

  /** Where a product goes. */
  sealed interface Result {}

  /**
   * To float32 memory.
   *
   * @param stride elements from one row to the next
   * @param add to what is there
   */
  record Sum(MemorySegment memory, int stride, boolean add) implements Result {}

  /**
   * To bfloat16, rounded once.
   *
   * @param addend added before, or null
   */
  record Rounded(Matrix target, Matrix addend) implements Result {}

  /** Whether a product of such sizes can be computed here. */
  static boolean fits(int rows, int columns, int inner, boolean transposedLeft) {
    return inner % INNER_UNIT == 0
        && columns % UNIT == 0
        && (!transposedLeft || rows % UNIT == 0)
        && rows > 0;
  }

  /** {@code result = left right}, or plus what is there. */
  void multiply(int rows, int columns, int inner, Factor left, Factor right, Result result) {
    Shape shape = new Shape(rows, columns, inner);
    if (columns < FEW_COLUMNS || left.transposed() && rows >= columns) {
      new ByRows(shape, left, right, result).run();
    } else {
      new ByPanels(shape, left, right, result).run();
    }
  }

  private record Shape(int rows, int columns, int inner) {
    /** Inner blocks of one size, but for the last. */
    int depth() {
      int even = Math.ceilDiv(inner, Math.ceilDiv(inner, INNER));
      return Math.ceilDiv(even, INNER_UNIT) * INNER_UNIT;
    }

    boolean whole() {
      return inner <= INNER;
    }
  }

  /** Memory that grows to what was asked for. */
  private static final class Memory {
    private final NDManager manager;
    private Tensor tensor;
    private MemorySegment segment = MemorySegment.NULL;

    Memory(NDManager manager) {
      this.manager = manager;
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
  private static final class Room {
    private final Memory packed;
    private final Memory tile;
    private final TilePacking packing = new TilePacking();

    Room(NDManager manager) {
      packed = new Memory(manager);
      tile = new Memory(manager);
    }
  }

  private void parallel(int items, Work work) {
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
  private interface Work {
    void run(int item, Room room);
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
  private static void pack(
      Room room,
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
      room.packing.panelOfTranspose(matrix, column + from, width, first, depth, panel, PANEL);
    }
  }

  private static long panelBytes(int depth) {
    return (long) depth * PANEL * Short.BYTES;
  }

  /** Threads take groups of panels, each for all rows. */
  private final class ByPanels {
    private final Shape shape;
    private final Factor left;
    private final Factor right;
    private final Result result;
    private final int width;
    private final int depth;
    private long leftAddress;
    private int leftStride;

    ByPanels(Shape shape, Factor left, Factor right, Result result) {
      this.shape = shape;
      this.left = left;
      this.right = right;
      this.result = result;
      this.width = PANEL * PANELS;
      this.depth = shape.depth();
    }

    void run() {
      if (left.transposed()) {
        MemorySegment all = shared.ofBytes((long) shape.rows * shape.inner * Short.BYTES);
        parallel(
            Math.ceilDiv(shape.rows, PANEL),
            (item, room) -> {
              int row = item * PANEL;
              int rows = Math.min(PANEL, shape.rows - row);
              long bytes = (long) shape.inner * Short.BYTES;
              room.packing.transpose(
                  left.matrix(),
                  0,
                  shape.inner,
                  left.column() + row,
                  rows,
                  all.asSlice(row * bytes, rows * bytes));
            });
        leftAddress = all.address();
        leftStride = shape.inner;
      } else {
        leftAddress = left.address(0, 0);
        leftStride = left.matrix().columns();
      }
      long tileRows = shape.whole() ? ROWS : shape.rows;
      for (Room room : rooms) {
        room.packed.ofBytes(PANELS * panelBytes(depth));
        if (result instanceof Rounded) {
          room.tile.ofBytes(tileRows * width * Float.BYTES);
        }
      }
      parallel(Math.ceilDiv(shape.columns, width), this::group);
    }

    private void group(int item, Room room) {
      int column = item * width;
      int columns = Math.min(width, shape.columns - column);
      for (int inner = 0; inner < shape.inner; inner += depth) {
        int block = Math.min(depth, shape.inner - inner);
        pack(room, right, inner, block, column, columns, room.packed.segment, panelBytes(block));
        for (int row = 0; row < shape.rows; row += ROWS) {
          rows(room, row, inner, block, column, columns);
        }
      }
    }

    private void rows(Room room, int row, int inner, int block, int column, int columns) {
      int rows = Math.min(ROWS, shape.rows - row);
      long a = leftAddress + ((long) row * leftStride + inner) * Short.BYTES;
      boolean add = inner > 0;
      long c;
      int stride;
      if (result instanceof Sum sum) {
        add |= sum.add();
        stride = sum.stride();
        c = sum.memory().address() + ((long) row * stride + column) * Float.BYTES;
      } else {
        stride = width;
        c = room.tile.segment.address() + tileOffset(row);
      }
      for (int panel = 0; panel < columns; panel += PANEL) {
        gemm.multiply(
            rows,
            Math.min(PANEL, columns - panel),
            block,
            a,
            leftStride,
            room.packed.segment.address() + panel / PANEL * panelBytes(block),
            add,
            c + (long) panel * Float.BYTES,
            stride);
      }
      if (result instanceof Rounded rounded && inner + block == shape.inner) {
        TileResult.round(
            room.tile.segment.asSlice(tileOffset(row)),
            width,
            rows,
            columns,
            rounded.addend(),
            rounded.target(),
            row,
            column);
      }
    }

    private long tileOffset(int row) {
      return shape.whole() ? 0 : (long) row * width * Float.BYTES;
    }
  }

  /** All panels are arranged first; then threads take blocks of rows. */
  private final class ByRows {
    private final Shape shape;
    private final Factor left;
    private final Factor right;
    private final Result result;
    private final int depth;
    private MemorySegment panels;

    ByRows(Shape shape, Factor left, Factor right, Result result) {
      this.shape = shape;
      this.left = left;
      this.right = right;
      this.result = result;
      this.depth = shape.depth();
    }

    void run() {
      panels = shared.ofBytes(Math.ceilDiv(shape.columns, PANEL) * panelBytes(depth));
      int groups = Math.ceilDiv(shape.columns, PANEL * PANELS);
      if (result instanceof Rounded && !shape.whole()) {
        sums.ofBytes((long) shape.rows * shape.columns * Float.BYTES);
      }
      for (Room room : rooms) {
        if (left.transposed()) {
          room.packed.ofBytes((long) ROWS * depth * Short.BYTES);
        }
        if (result instanceof Rounded && shape.whole()) {
          room.tile.ofBytes((long) ROWS * shape.columns * Float.BYTES);
        }
      }
      for (int next = 0; next < shape.inner; next += depth) {
        int inner = next;
        int block = Math.min(depth, shape.inner - inner);
        parallel(
            groups * Math.ceilDiv(block, SLICE), (item, room) -> pack(room, item, inner, block));
        parallel(
            Math.ceilDiv(shape.rows, ROWS), (item, room) -> rows(room, item * ROWS, inner, block));
      }
    }

    /** A slice of the inner axis of a group of panels. */
    private void pack(Room room, int item, int inner, int block) {
      int slices = Math.ceilDiv(block, SLICE);
      int column = item / slices * PANELS * PANEL;
      int from = item % slices * SLICE;
      TileProduct.pack(
          room,
          right,
          inner + from,
          Math.min(SLICE, block - from),
          column,
          Math.min(PANELS * PANEL, shape.columns - column),
          panels.asSlice(column / PANEL * panelBytes(block) + panelBytes(from)),
          panelBytes(block));
    }

    private void rows(Room room, int row, int inner, int block) {
      int rows = Math.min(ROWS, shape.rows - row);
      long a;
      int strideA;
      if (left.transposed()) {
        MemorySegment packed = room.packed.segment.asSlice(0, (long) rows * block * Short.BYTES);
        room.packing.transpose(left.matrix(), inner, block, left.column() + row, rows, packed);
        a = packed.address();
        strideA = block;
      } else {
        a = left.address(row, inner);
        strideA = left.matrix().columns();
      }
      boolean add = inner > 0;
      int stride = shape.columns;
      MemorySegment tile;
      if (result instanceof Sum sum) {
        add |= sum.add();
        stride = sum.stride();
        tile = sum.memory().asSlice((long) row * stride * Float.BYTES);
      } else if (shape.whole()) {
        tile = room.tile.segment;
      } else {
        tile = sums.segment.asSlice((long) row * stride * Float.BYTES);
      }
      for (int column = 0; column < shape.columns; column += PANEL) {
        gemm.multiply(
            rows,
            Math.min(PANEL, shape.columns - column),
            block,
            a,
            strideA,
            panels.address() + column / PANEL * panelBytes(block),
            add,
            tile.address() + (long) column * Float.BYTES,
            stride);
      }
      if (result instanceof Rounded rounded && inner + block == shape.inner) {
        TileResult.round(
            tile, stride, rows, shape.columns, rounded.addend(), rounded.target(), row, 0);
      }
    }
  }
}
