package org.pretrain4j.trainer.parallel;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * Contiguous elements in native memory: of the host, or of the GPU for a backend that works there.
 * It owns nothing; whoever allocated the memory keeps it alive until the collective is complete.
 *
 * @param address of the first element
 * @param elements number of elements
 * @param type of each element
 */
public record FlatBuffer(long address, long elements, ElementType type) {
  public FlatBuffer {
    Objects.requireNonNull(type, "type");
    if (elements < 0) {
      throw new IllegalArgumentException("a buffer of " + elements + " elements");
    }
    if (address == 0 && elements > 0) {
      throw new IllegalArgumentException("a buffer of " + elements + " elements at address 0");
    }
    Math.multiplyExact(elements, type.bytes());
  }

  /**
   * All of a native segment.
   *
   * @throws IllegalArgumentException if the segment is on the heap, or no whole number of elements
   */
  public static FlatBuffer of(MemorySegment segment, ElementType type) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("a collective needs native memory, not a heap array");
    }
    if (segment.byteSize() % type.bytes() != 0) {
      throw new IllegalArgumentException(
          segment.byteSize() + " bytes are no whole number of " + type + " elements");
    }
    return new FlatBuffer(segment.address(), segment.byteSize() / type.bytes(), type);
  }

  /** Size in bytes. */
  public long bytes() {
    return elements * type.bytes();
  }

  /** The elements from {@code offset} on, {@code count} of them. */
  public FlatBuffer slice(long offset, long count) {
    Objects.checkFromIndexSize(offset, count, elements);
    return new FlatBuffer(address + offset * type.bytes(), count, type);
  }

  /** The memory itself, if it is the host's. */
  @SuppressWarnings("restricted") // the address comes from whoever allocated it, with its size
  public MemorySegment segment() {
    return MemorySegment.ofAddress(address).reinterpret(bytes());
  }

  @Override
  public String toString() {
    return type.name().toLowerCase(java.util.Locale.ROOT) + " x " + elements;
  }
}
