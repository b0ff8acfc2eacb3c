package org.pretrain4j.data.text;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/**
 * datatrove's tokenized documents. {@code x.ds} holds the tokens, uint16 or uint32, little endian;
 * {@code x.ds.index} the end of each document in tokens, uint64, little endian. The width follows
 * from the last end and the size of the file.
 */
final class DatatroveReader implements DocumentReader {
  private static final int INDEX_BUFFER_BYTES = 1 << 16;

  private final String name;
  private final DataInputStream index;
  private final TokenFile tokens;
  private final long documents;
  private final long totalTokens;
  private long document;
  private long end;

  private DatatroveReader(
      String name, DataInputStream index, TokenFile tokens, long documents, long totalTokens) {
    this.name = name;
    this.index = index;
    this.tokens = tokens;
    this.documents = documents;
    this.totalTokens = totalTokens;
  }

  static DatatroveReader open(Storage storage, FileStatus file, String name) throws IOException {
    Path indexPath = file.getPath().suffix(".index");
    long indexBytes = storage.status(indexPath).getLen();
    if (indexBytes == 0 || indexBytes % 8 != 0) {
      throw new UserException(name + ".index: " + indexBytes + " bytes are no list of 8-byte ends");
    }
    long total;
    try (var in = storage.open(indexPath)) {
      byte[] last = new byte[8];
      in.readFully(indexBytes - 8, last);
      total = Long.reverseBytes(ByteBuffer.wrap(last).getLong());
    }
    TokenFile.Width width;
    if (total > 0 && file.getLen() == 2 * total) {
      width = TokenFile.Width.UINT16;
    } else if (total > 0 && file.getLen() == 4 * total) {
      width = TokenFile.Width.INT32;
    } else {
      throw new UserException(
          name
              + ": "
              + file.getLen()
              + " bytes do not hold the "
              + total
              + " tokens of its index in 2 or 4 bytes each; replace the files");
    }
    DataInputStream index =
        new DataInputStream(new BufferedInputStream(storage.open(indexPath), INDEX_BUFFER_BYTES));
    TokenFile tokens = new TokenFile(name, storage.open(file.getPath()), width);
    return new DatatroveReader(name, index, tokens, indexBytes / 8, total);
  }

  @Override
  public Document next() {
    while (document < documents) {
      long from = end;
      try {
        end = Long.reverseBytes(index.readLong());
      } catch (IOException e) {
        throw Malformed.unreadable(name + ".index", e);
      }
      String place = name + " document " + document++;
      if (end < from || end > totalTokens) {
        throw new UserException(
            place + ": ends at token " + end + " after " + from + "; its index is damaged");
      }
      if (end > from) {
        return new Document(tokens.next(end - from), place);
      }
    }
    return null;
  }

  @Override
  public long bytesRead() {
    return tokens.bytesRead();
  }

  @Override
  public void close() throws IOException {
    index.close();
    tokens.close();
  }
}
