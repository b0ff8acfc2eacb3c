package org.pretrain4j.trainer.fused;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.pretrain4j.trainer.cuda.DeviceGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;

/** What cuBLAS is asked for, in host memory, with sums in float64. */
@SuppressWarnings("restricted")
final class HostGemm implements DeviceGemm {
  @Override
  public void multiply(
      ScalarType type, int rows, int columns, int inner, Factor a, Factor b, boolean add, long c) {
    MemorySegment result = at(c, (long) rows * columns * Float.BYTES);
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        double sum = 0;
        for (int i = 0; i < inner; i++) {
          sum += element(type, a, row, i) * element(type, b, i, column);
        }
        long index = (long) row * columns + column;
        float before = add ? result.getAtIndex(ValueLayout.JAVA_FLOAT, index) : 0;
        result.setAtIndex(ValueLayout.JAVA_FLOAT, index, (float) (before + sum));
      }
    }
  }

  private static double element(ScalarType type, Factor factor, int row, int column) {
    long index =
        factor.transposed()
            ? (long) column * factor.stride() + row
            : (long) row * factor.stride() + column;
    MemorySegment memory = at(factor.address() + index * type.bytes(), type.bytes());
    return type == ScalarType.FLOAT32
        ? memory.get(ValueLayout.JAVA_FLOAT, 0)
        : Float.intBitsToFloat(memory.get(ValueLayout.JAVA_SHORT, 0) << 16);
  }

  private static MemorySegment at(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }
}
