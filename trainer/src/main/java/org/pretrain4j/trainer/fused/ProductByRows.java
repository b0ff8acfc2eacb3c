package org.pretrain4j.trainer.fused;

import static org.pretrain4j.trainer.fused.TileWorkers.PANEL;
import static org.pretrain4j.trainer.fused.TileWorkers.PANELS;
import static org.pretrain4j.trainer.fused.TileWorkers.ROWS;
import static org.pretrain4j.trainer.fused.TileWorkers.panelBytes;

import java.lang.foreign.MemorySegment;
import org.pretrain4j.trainer.fused.TileProduct.Factor;
import org.pretrain4j.trainer.fused.TileProduct.Result;
import org.pretrain4j.trainer.fused.TileProduct.Rounded;
import org.pretrain4j.trainer.fused.TileProduct.Shape;
import org.pretrain4j.trainer.fused.TileProduct.Sum;
import org.pretrain4j.trainer.fused.TileWorkers.Room;
import org.pretrain4j.trainer.kernels.TileResult;

/** All panels are arranged first; then threads take blocks of rows. */
final class ProductByRows {
  /** Of the inner axis that a thread arranges at a time. */
  private static final int SLICE = 512;

  private final TileWorkers workers;
  private final Shape shape;
  private final Factor left;
  private final Factor right;
  private final Result result;
  private final int depth;
  private MemorySegment panels;

  ProductByRows(TileWorkers workers, Shape shape, Factor left, Factor right, Result result) {
    this.workers = workers;
    this.shape = shape;
    this.left = left;
    this.right = right;
    this.result = result;
    this.depth = shape.depth();
  }

  void run() {
    panels = workers.shared.ofBytes(Math.ceilDiv(shape.columns(), PANEL) * panelBytes(depth));
    int groups = Math.ceilDiv(shape.columns(), PANEL * PANELS);
    if (result instanceof Rounded && !shape.whole()) {
      workers.sums.ofBytes((long) shape.rows() * shape.columns() * Float.BYTES);
    }
    for (Room room : workers.rooms) {
      if (left.transposed()) {
        room.packed.ofBytes((long) ROWS * depth * Short.BYTES);
      }
      if (result instanceof Rounded && shape.whole()) {
        room.tile.ofBytes((long) ROWS * shape.columns() * Float.BYTES);
      }
    }
    for (int next = 0; next < shape.inner(); next += depth) {
      int inner = next;
      int block = Math.min(depth, shape.inner() - inner);
      workers.parallel(
          groups * Math.ceilDiv(block, SLICE), (item, room) -> pack(room, item, inner, block));
      workers.parallel(
          Math.ceilDiv(shape.rows(), ROWS), (item, room) -> rows(room, item * ROWS, inner, block));
    }
  }

  /** A slice of the inner axis of a group of panels. */
  private void pack(Room room, int item, int inner, int block) {
    int slices = Math.ceilDiv(block, SLICE);
    int column = item / slices * PANELS * PANEL;
    int from = item % slices * SLICE;
    room.pack(
        right,
        inner + from,
        Math.min(SLICE, block - from),
        column,
        Math.min(PANELS * PANEL, shape.columns() - column),
        panels.asSlice(column / PANEL * panelBytes(block) + panelBytes(from)),
        panelBytes(block));
  }

  private void rows(Room room, int row, int inner, int block) {
    int rows = Math.min(ROWS, shape.rows() - row);
    long a;
    int strideA;
    if (left.transposed()) {
      MemorySegment packed = room.packed.segment().asSlice(0, (long) rows * block * Short.BYTES);
      room.packing.transpose(left.matrix(), inner, block, left.column() + row, rows, packed);
      a = packed.address();
      strideA = block;
    } else {
      a = left.address(row, inner);
      strideA = left.matrix().columns();
    }
    boolean add = inner > 0;
    int stride = shape.columns();
    MemorySegment tile;
    if (result instanceof Sum sum) {
      add |= sum.add();
      stride = sum.stride();
      tile = sum.memory().asSlice((long) row * stride * Float.BYTES);
    } else if (shape.whole()) {
      tile = room.tile.segment();
    } else {
      tile = workers.sums.segment().asSlice((long) row * stride * Float.BYTES);
    }
    for (int column = 0; column < shape.columns(); column += PANEL) {
      workers.gemm.multiply(
          rows,
          Math.min(PANEL, shape.columns() - column),
          block,
          a,
          strideA,
          panels.address() + column / PANEL * panelBytes(block),
          add,
          tile.address() + (long) column * Float.BYTES,
          stride);
    }
    if (result instanceof Rounded rounded && inner + block == shape.inner()) {
      TileResult.round(
          tile, stride, rows, shape.columns(), rounded.addend(), rounded.target(), row, 0);
    }
  }
}
