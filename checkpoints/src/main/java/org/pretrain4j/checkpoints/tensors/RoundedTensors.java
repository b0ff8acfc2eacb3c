package org.pretrain4j.checkpoints.tensors;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;

/** The tensors of another source as they are after rounding to narrower types. For one thread. */
public final class RoundedTensors implements TensorSource {
  private final TensorSource source;
  private final Function<TensorSpec, DType> types;
  private byte[] encoded = new byte[0];

  /**
   * A rounded view; closing it leaves the source open.
   *
   * @param types the type that each tensor is rounded to: F32, BF16 or F16
   */
  public RoundedTensors(TensorSource source, Function<TensorSpec, DType> types) {
    this.source = source;
    this.types = types;
  }

  @Override
  public String name() {
    return source.name();
  }

  @Override
  public List<TensorSpec> tensors() {
    return source.tensors();
  }

  @Override
  public Optional<TensorSpec> find(String tensor) {
    return source.find(tensor);
  }

  @Override
  public void read(String tensor, long from, float[] into, int length) {
    source.read(tensor, from, into, length);
    DType type = types.apply(source.find(tensor).orElseThrow());
    if (encoded.length < length * type.bytes()) {
      encoded = new byte[length * type.bytes()];
    }
    MemorySegment rounded = MemorySegment.ofArray(encoded);
    Rounding.encode(into, length, type, rounded);
    Rounding.decode(rounded, type, into, length);
  }

  @Override
  public void close() {
    // The source belongs to someone else.
  }
}
