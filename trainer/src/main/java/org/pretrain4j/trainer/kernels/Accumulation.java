package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Sums of flat arrays, such as gradients over micro-batches. Lengths are those of the first
 * argument after the pool.
 */
public final class Accumulation {
  private static final long CHUNK = 65_536;

  private Accumulation() {}

  /** {@code sum += addend}, sum float32 and addend bfloat16. */
  public static void addBfloat16(WorkerPool pool, MemorySegment sum, MemorySegment addend) {
    long elements = elements(sum, Float.BYTES, addend, Short.BYTES);
    pool.run(
        elements,
        CHUNK,
        (from, to) -> {
          MemorySegment a = part(sum, from, to, Float.BYTES);
          MemorySegment b = part(addend, from, to, Short.BYTES);
          int n = (int) (to - from);
          int i = 0;
          for (; i <= n - Lanes.COUNT; i += Lanes.COUNT) {
            Lanes.store(Lanes.load(a, i).add(Lanes.loadBfloat16(b, i)), a, i);
          }
          if (i < n) {
            VectorMask<Float> rest = Lanes.FLOATS.indexInRange(i, n);
            FloatVector value = Lanes.load(a, i, rest).add(Lanes.loadBfloat16(b, i, rest));
            Lanes.store(value, a, i, rest);
          }
        });
  }

  /** {@code sum += addend}, both float32. */
  public static void add(WorkerPool pool, MemorySegment sum, MemorySegment addend) {
    long elements = elements(sum, Float.BYTES, addend, Float.BYTES);
    pool.run(
        elements,
        CHUNK,
        (from, to) -> {
          MemorySegment a = part(sum, from, to, Float.BYTES);
          MemorySegment b = part(addend, from, to, Float.BYTES);
          int n = (int) (to - from);
          int i = 0;
          for (; i <= n - Lanes.COUNT; i += Lanes.COUNT) {
            Lanes.store(Lanes.load(a, i).add(Lanes.load(b, i)), a, i);
          }
          if (i < n) {
            VectorMask<Float> rest = Lanes.FLOATS.indexInRange(i, n);
            Lanes.store(Lanes.load(a, i, rest).add(Lanes.load(b, i, rest)), a, i, rest);
          }
        });
  }

  /** {@code target = source}, float32 from bfloat16: a first addend without zeroing the sum. */
  public static void widen(WorkerPool pool, MemorySegment target, MemorySegment source) {
    long elements = elements(target, Float.BYTES, source, Short.BYTES);
    pool.run(
        elements,
        CHUNK,
        (from, to) -> {
          MemorySegment a = part(target, from, to, Float.BYTES);
          MemorySegment b = part(source, from, to, Short.BYTES);
          int n = (int) (to - from);
          int i = 0;
          for (; i <= n - Lanes.COUNT; i += Lanes.COUNT) {
            Lanes.store(Lanes.loadBfloat16(b, i), a, i);
          }
          if (i < n) {
            VectorMask<Float> rest = Lanes.FLOATS.indexInRange(i, n);
            Lanes.store(Lanes.loadBfloat16(b, i, rest), a, i, rest);
          }
        });
  }

  /** {@code target = source}, bfloat16 from float32, rounded to nearest even. */
  public static void narrow(WorkerPool pool, MemorySegment target, MemorySegment source) {
    long elements = elements(target, Short.BYTES, source, Float.BYTES);
    pool.run(
        elements,
        CHUNK,
        (from, to) -> {
          MemorySegment a = part(target, from, to, Short.BYTES);
          MemorySegment b = part(source, from, to, Float.BYTES);
          int n = (int) (to - from);
          int i = 0;
          for (; i <= n - Lanes.COUNT; i += Lanes.COUNT) {
            Lanes.storeBfloat16(Lanes.load(b, i), a, i);
          }
          if (i < n) {
            VectorMask<Float> rest = Lanes.FLOATS.indexInRange(i, n);
            Lanes.storeBfloat16(Lanes.load(b, i, rest), a, i, rest);
          }
        });
  }

  private static MemorySegment part(MemorySegment memory, long from, long to, int bytes) {
    return memory.asSlice(from * bytes, (to - from) * bytes);
  }

  private static long elements(
      MemorySegment first, int firstBytes, MemorySegment second, int secondBytes) {
    long elements = first.byteSize() / firstBytes;
    if (second.byteSize() != elements * secondBytes || first.byteSize() % firstBytes != 0) {
      throw new IllegalArgumentException(
          "%d bytes of %d-byte elements against %d bytes of %d-byte elements"
              .formatted(first.byteSize(), firstBytes, second.byteSize(), secondBytes));
    }
    return elements;
  }
}
