package org.pretrain4j.trainer.parallel.mpi;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.pretrain4j.trainer.parallel.CollectiveException;

/**
 * What ranks tell each other besides their collectives.
 *
 * @param kind of message
 * @param sender the rank that says it
 * @param number of collectives that the sender has begun; of a query, the sequence number asked for
 * @param reason of an abort
 * @param culprits of an abort
 * @param text of an abort, why; of a status, the sender's call with the number asked for
 */
record ControlMessage(
    Kind kind,
    int sender,
    long number,
    CollectiveException.Kind reason,
    List<Integer> culprits,
    String text) {

  /** Size in bytes of every message. */
  static final int BYTES = 1024;

  private static final int MAX_CULPRITS = 32;

  enum Kind {
    /** The group has failed. */
    ABORT,
    /** Where are you? */
    QUERY,
    /** Here I am. */
    STATUS,
    /** I call no more collectives. */
    GOODBYE
  }

  ControlMessage {
    culprits = List.copyOf(culprits);
  }

  static ControlMessage of(Kind kind, int sender, long number, String text) {
    return new ControlMessage(
        kind, sender, number, CollectiveException.Kind.FAILED, List.of(), text);
  }

  void write(MemorySegment segment) {
    ByteBuffer buffer = segment.asSlice(0, BYTES).asByteBuffer();
    buffer.putInt(kind.ordinal()).putInt(sender).putLong(number).putInt(reason.ordinal());
    int count = Math.min(MAX_CULPRITS, culprits.size());
    buffer.putInt(count);
    culprits.stream().limit(count).forEach(buffer::putInt);
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int length = Math.min(bytes.length, buffer.remaining() - Integer.BYTES);
    buffer.putInt(length).put(Arrays.copyOf(bytes, length));
  }

  static ControlMessage read(MemorySegment segment) {
    ByteBuffer buffer = segment.asSlice(0, BYTES).asByteBuffer();
    Kind kind = Kind.values()[buffer.getInt()];
    int sender = buffer.getInt();
    long number = buffer.getLong();
    CollectiveException.Kind reason = CollectiveException.Kind.values()[buffer.getInt()];
    List<Integer> culprits = new ArrayList<>();
    for (int left = buffer.getInt(); left > 0; left--) {
      culprits.add(buffer.getInt());
    }
    byte[] text = new byte[buffer.getInt()];
    buffer.get(text);
    return new ControlMessage(
        kind, sender, number, reason, culprits, new String(text, StandardCharsets.UTF_8));
  }
}
