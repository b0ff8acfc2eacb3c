package org.pretrain4j.trainer.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The arguments of one launch, as the driver takes them: an array of pointers, each to a value.
 * Memory is taken once and used again for the next launch; one thread at a time.
 */
public final class KernelArguments {
  private static final int MOST = 16;

  private final MemorySegment values = Arena.ofAuto().allocate(Long.BYTES * MOST, Long.BYTES);
  private final MemorySegment pointers =
      Arena.ofAuto().allocate(ValueLayout.ADDRESS.byteSize() * MOST, Long.BYTES);
  private final char[] types = new char[MOST];
  private int count;

  /** No arguments yet. */
  public KernelArguments() {
    for (int i = 0; i < MOST; i++) {
      pointers.setAtIndex(ValueLayout.ADDRESS, i, values.asSlice((long) i * Long.BYTES));
    }
  }

  /** Forgets all. */
  KernelArguments clear() {
    count = 0;
    return this;
  }

  /** Appends an address in the device's memory, or 0 for a null pointer. */
  KernelArguments pointer(long address) {
    values.setAtIndex(ValueLayout.JAVA_LONG, next('P'), address);
    return this;
  }

  /** Appends an {@code int}. */
  KernelArguments int32(int value) {
    values.set(ValueLayout.JAVA_INT, (long) next('I') * Long.BYTES, value);
    return this;
  }

  /** Appends a {@code long long}. */
  KernelArguments int64(long value) {
    values.setAtIndex(ValueLayout.JAVA_LONG, next('L'), value);
    return this;
  }

  /** Appends a {@code float}. */
  KernelArguments float32(float value) {
    values.set(ValueLayout.JAVA_FLOAT, (long) next('F') * Long.BYTES, value);
    return this;
  }

  /** Appends a {@code double}. */
  KernelArguments float64(double value) {
    values.setAtIndex(ValueLayout.JAVA_DOUBLE, next('D'), value);
    return this;
  }

  private int next(char type) {
    if (count == MOST) {
      throw new IllegalStateException("more than " + MOST + " arguments of a kernel");
    }
    types[count] = type;
    return count++;
  }

  /** What cuLaunchKernel calls kernelParams. */
  public MemorySegment pointers() {
    return pointers;
  }

  /** One letter for each argument: P(ointer), I(nt32), L (int64), F(loat32) or D (float64). */
  public String types() {
    return new String(types, 0, count);
  }
}
