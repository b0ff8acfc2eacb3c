package org.pretrain4j.trainer.libtorch;

import ai.djl.ndarray.types.DataType;

/** Element types of tensors, with libtorch's number for each ({@code c10::ScalarType}). */
public enum ScalarType {
  UINT8(0, 1, DataType.UINT8),
  INT32(3, 4, DataType.INT32),
  INT64(4, 8, DataType.INT64),
  FLOAT32(6, 4, DataType.FLOAT32),
  FLOAT64(7, 8, DataType.FLOAT64),
  BOOL(11, 1, DataType.BOOLEAN),
  BFLOAT16(15, 2, DataType.BFLOAT16),
  /** Of a result that is passed on and never looked at. */
  OPAQUE(-1, 0, DataType.UNKNOWN);

  private final int code;
  private final int bytes;
  private final DataType dataType;

  ScalarType(int code, int bytes, DataType dataType) {
    this.code = code;
    this.bytes = bytes;
    this.dataType = dataType;
  }

  int code() {
    return code;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  DataType dataType() {
    return dataType;
  }

  static ScalarType ofCode(int code) {
    for (ScalarType type : values()) {
      if (type.code == code) {
        return type;
      }
    }
    throw new IllegalArgumentException("libtorch element type " + code + " is not supported");
  }
}
