package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.OffHeap;
import org.pretrain4j.trainer.libtorch.ScalarType;

/**
 * An array that a kernel works on, in the CPU's memory. On both sides lie bytes that are no
 * numbers, so that what is read there shows in the result, and must still lie there afterwards.
 */
final class DeviceMemory {
  private static final int GUARD = 256;
  private static final byte FILL = (byte) 0xff;

  private final MemorySegment whole;
  private final MemorySegment memory;

  private DeviceMemory(long bytes, int shift) {
    whole = Arena.ofAuto().allocate(bytes + 2 * GUARD + shift, GUARD);
    whole.fill(FILL);
    memory = whole.asSlice(GUARD + shift, bytes);
  }

  /** Values rounded to a type. */
  static DeviceMemory of(ScalarType type, boolean aligned, float... values) {
    DeviceMemory result = empty(type, aligned, values.length);
    MemorySegment from =
        type == ScalarType.BFLOAT16 ? OffHeap.bfloat16(values) : OffHeap.floats(values);
    result.memory.copyFrom(from);
    return result;
  }

  /** Memory that holds no numbers yet. */
  static DeviceMemory empty(ScalarType type, boolean aligned, long elements) {
    return new DeviceMemory(elements * type.bytes(), aligned ? 0 : type.bytes());
  }

  /** int32 values. */
  static DeviceMemory of(int... values) {
    DeviceMemory result = new DeviceMemory(4L * values.length, 0);
    MemorySegment.copy(values, 0, result.memory, ValueLayout.JAVA_INT, 0, values.length);
    return result;
  }

  long address() {
    return memory.address();
  }

  MemorySegment memory() {
    return memory;
  }

  DeviceMatrix matrix(long rows, int columns, ScalarType type) {
    return new DeviceMatrix(address(), rows, columns, type);
  }

  /** The same memory for the kernels of the CPU. */
  Matrix onHost(int rows, int columns, ScalarType type) {
    return new Matrix(memory, rows, columns, type == ScalarType.BFLOAT16);
  }

  /** A copy for the other of two ways to compute. */
  DeviceMemory copy() {
    DeviceMemory result =
        new DeviceMemory(memory.byteSize(), (int) (memory.address() - whole.address()) - GUARD);
    result.memory.copyFrom(memory);
    return result;
  }

  /** The values, after a look at what lies beside them. */
  float[] values(ScalarType type) {
    checkGuards();
    return type == ScalarType.BFLOAT16 ? OffHeap.fromBfloat16(memory) : OffHeap.toFloats(memory);
  }

  double[] float64s() {
    checkGuards();
    return memory.toArray(ValueLayout.JAVA_DOUBLE);
  }

  void checkGuards() {
    long start = memory.address() - whole.address();
    for (long i = 0; i < whole.byteSize(); i++) {
      if (i < start || i >= start + memory.byteSize()) {
        assertEquals(
            FILL, whole.get(ValueLayout.JAVA_BYTE, i), "byte " + (i - start) + " is written");
      }
    }
  }
}
