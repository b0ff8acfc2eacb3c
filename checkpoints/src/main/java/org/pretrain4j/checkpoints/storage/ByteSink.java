package org.pretrain4j.checkpoints.storage;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Where the bytes of one new file go, from its beginning to its end. */
sealed interface ByteSink permits HadoopSink, LocalSink {

  /** Appends all remaining bytes of the buffer. */
  void write(ByteBuffer bytes) throws IOException;

  /** What was written survives a crash when this returns. */
  void sync() throws IOException;

  /** Ends the file; object stores make it durable, and visible, here. */
  void close() throws IOException;
}
