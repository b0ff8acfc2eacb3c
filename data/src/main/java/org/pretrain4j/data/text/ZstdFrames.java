package org.pretrain4j.data.text;

import com.github.luben.zstd.ZstdDecompressCtx;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;

/**
 * Decompresses zstd frames one after the other. Unlike {@code ZstdInputStream} it notices a file
 * that ends inside a frame that is not the first.
 */
final class ZstdFrames extends InputStream {
  private static final int BUFFER_BYTES = 1 << 17;

  private final InputStream in;
  private final ZstdDecompressCtx context = new ZstdDecompressCtx();
  private final byte[] chunk = new byte[BUFFER_BYTES];
  private final ByteBuffer source = ByteBuffer.allocateDirect(BUFFER_BYTES).limit(0);
  private final ByteBuffer output = ByteBuffer.allocateDirect(BUFFER_BYTES).limit(0);
  private boolean insideFrame;
  private boolean outputWasFull;

  ZstdFrames(InputStream in) {
    this.in = in;
  }

  @Override
  public int read() throws IOException {
    return fill() ? output.get() & 0xff : -1;
  }

  @Override
  public int read(byte[] buffer, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    if (!fill()) {
      return -1;
    }
    int count = Math.min(length, output.remaining());
    output.get(buffer, offset, count);
    return count;
  }

  /** Makes sure that there is output; false at the end of the last frame. */
  private boolean fill() throws IOException {
    while (!output.hasRemaining()) {
      if (!source.hasRemaining() && !outputWasFull) {
        int read = in.read(chunk);
        if (read < 0) {
          if (insideFrame) {
            throw new EOFException();
          }
          return false;
        }
        source.clear().put(chunk, 0, read).flip();
        if (read == 0) {
          continue;
        }
      }
      output.clear();
      try {
        insideFrame = !context.decompressDirectByteBufferStream(output, source);
      } catch (RuntimeException e) {
        throw new IOException("damaged zstd data: " + e.getMessage(), e);
      }
      outputWasFull = insideFrame && !output.hasRemaining();
      output.flip();
    }
    return true;
  }

  @Override
  public void close() throws IOException {
    context.close();
    in.close();
  }
}
