package org.pretrain4j.data.shuffle;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.pretrain4j.data.shards.Sequence;

/**
 * A sequence as bytes on its way to another place: its tokens (int32, big endian); a token that
 * begins a document is stored as its complement.
 */
public final class SequenceCodec {
  private SequenceCodec() {}

  /** Bytes of a sequence of this length and one token more. */
  static int bytes(int sequenceLength) {
    return Math.multiplyExact(4, sequenceLength + 1);
  }

  public static byte[] encode(Sequence sequence) {
    int[] marked = sequence.tokens().clone();
    for (int start : sequence.documentStarts()) {
      marked[start] = ~marked[start];
    }
    byte[] bytes = new byte[4 * marked.length];
    ByteBuffer.wrap(bytes).asIntBuffer().put(marked);
    return bytes;
  }

  public static Sequence decode(byte[] bytes) {
    int[] decoded = new int[bytes.length / 4];
    ByteBuffer.wrap(bytes).asIntBuffer().get(decoded);
    int[] starts = new int[decoded.length];
    int count = 0;
    for (int i = 0; i < decoded.length; i++) {
      if (decoded[i] < 0) {
        decoded[i] = ~decoded[i];
        starts[count++] = i;
      }
    }
    return new Sequence(decoded, Arrays.copyOf(starts, count));
  }
}
