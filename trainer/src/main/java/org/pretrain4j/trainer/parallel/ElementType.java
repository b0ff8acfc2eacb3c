package org.pretrain4j.trainer.parallel;

/** What a flat buffer holds. */
public enum ElementType {
  /** IEEE 754 single precision. */
  FLOAT32(4),
  /** The upper half of a single-precision number: 8 bits of exponent, 7 of fraction. */
  BFLOAT16(2);

  private final int bytes;

  ElementType(int bytes) {
    this.bytes = bytes;
  }

  /** Size of one element in bytes. */
  public int bytes() {
    return bytes;
  }
}
