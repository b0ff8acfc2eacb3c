package org.pretrain4j.data.text;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import org.apache.commons.compress.compressors.gzip.GzipCompressorInputStream;

/** Compression by file name. Archives of several members or frames are read to their end. */
enum Compression {
  NONE,
  GZIP,
  ZSTD;

  private static final int BUFFER_BYTES = 1 << 17;

  static Compression of(String fileName) {
    if (fileName.endsWith(".gz")) {
      return GZIP;
    }
    return fileName.endsWith(".zst") || fileName.endsWith(".zstd") ? ZSTD : NONE;
  }

  InputStream decompress(InputStream in) throws IOException {
    return switch (this) {
      case NONE -> in;
      // The JDK's GZIPInputStream takes a damaged header of a later member for the end of the file.
      case GZIP ->
          new BufferedInputStream(
              GzipCompressorInputStream.builder()
                  .setInputStream(in)
                  .setDecompressConcatenated(true)
                  .get(),
              BUFFER_BYTES);
      case ZSTD -> new ZstdFrames(in);
    };
  }
}
