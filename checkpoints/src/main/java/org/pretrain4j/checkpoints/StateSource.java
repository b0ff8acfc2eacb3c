package org.pretrain4j.checkpoints;

import java.lang.foreign.MemorySegment;

/**
 * The packed fp32 values of one kind of state, wherever they are: a save copies them piece by piece
 * into memory of the host and asks no more of them.
 *
 * <pre>{@code
 * Map<String, StateSource> kinds = Map.of("master", StateSource.of(master));
 * }</pre>
 */
public interface StateSource {

  /** Size of all values in bytes. */
  long bytes();

  /**
   * Copies as many bytes as the piece has. When it returns, those values may change.
   *
   * @param offset where they begin among the values, in bytes
   * @param piece memory of the host
   */
  void copyTo(long offset, MemorySegment piece);

  /** Values that lie in the host's memory. */
  static StateSource of(MemorySegment values) {
    return new HostState(values);
  }

  /** See {@link #of}. */
  record HostState(MemorySegment values) implements StateSource {
    @Override
    public long bytes() {
      return values.byteSize();
    }

    @Override
    public void copyTo(long offset, MemorySegment piece) {
      piece.copyFrom(values.asSlice(offset, piece.byteSize()));
    }
  }
}
