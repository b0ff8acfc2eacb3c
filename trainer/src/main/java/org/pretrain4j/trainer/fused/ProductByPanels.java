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

/** Threads take groups of panels, each for all rows. */
final class ProductByPanels {
  private final TileWorkers workers;
  private final Shape shape;
  private final Factor left;
  private final Factor right;
  private final Result result;
  private final int width;
  private final int depth;
  private long leftAddress;
  private int leftStride;

  ProductByPanels(TileWorkers workers, Shape shape, Factor left, Factor right, Result result) {
    this.workers = workers;
    this.shape = shape;
    this.left = left;
    this.right = right;
    this.result = result;
    this.width = PANEL * PANELS;
    this.depth = shape.depth();
  }

  void run() {
    if (left.transposed()) {
      MemorySegment all = workers.shared.ofBytes((long) shape.rows() * shape.inner() * Short.BYTES);
      workers.parallel(
          Math.ceilDiv(shape.rows(), PANEL),
          (item, room) -> {
            int row = item * PANEL;
            int rows = Math.min(PANEL, shape.rows() - row);
            long bytes = (long) shape.inner() * Short.BYTES;
            room.packing.transpose(
                left.matrix(),
                0,
                shape.inner(),
                left.column() + row,
                rows,
                all.asSlice(row * bytes, rows * bytes));
          });
      leftAddress = all.address();
      leftStride = shape.inner();
    } else {
      leftAddress = left.address(0, 0);
      leftStride = left.matrix().columns();
    }
    long tileRows = shape.whole() ? ROWS : shape.rows();
    for (Room room : workers.rooms) {
      room.packed.ofBytes(PANELS * panelBytes(depth));
      if (result instanceof Rounded) {
        room.tile.ofBytes(tileRows * width * Float.BYTES);
      }
    }
    workers.parallel(Math.ceilDiv(shape.columns(), width), this::group);
  }

  private void group(int item, Room room) {
    int column = item * width;
    int columns = Math.min(width, shape.columns() - column);
    for (int inner = 0; inner < shape.inner(); inner += depth) {
      int block = Math.min(depth, shape.inner() - inner);
      room.pack(right, inner, block, column, columns, room.packed.segment(), panelBytes(block));
      for (int row = 0; row < shape.rows(); row += ROWS) {
        rows(room, row, inner, block, column, columns);
      }
    }
  }

  private void rows(Room room, int row, int inner, int block, int column, int columns) {
    int rows = Math.min(ROWS, shape.rows() - row);
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
      c = room.tile.segment().address() + tileOffset(row);
    }
    for (int panel = 0; panel < columns; panel += PANEL) {
      workers.gemm.multiply(
          rows,
          Math.min(PANEL, columns - panel),
          block,
          a,
          leftStride,
          room.packed.segment().address() + panel / PANEL * panelBytes(block),
          add,
          c + (long) panel * Float.BYTES,
          stride);
    }
    if (result instanceof Rounded rounded && inner + block == shape.inner()) {
      TileResult.round(
          room.tile.segment().asSlice(tileOffset(row)),
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
