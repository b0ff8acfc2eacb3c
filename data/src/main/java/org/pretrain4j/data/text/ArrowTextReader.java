package org.pretrain4j.data.text;

import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.arrow.compression.CommonsCompressionFactory;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.LargeVarCharVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.ipc.ArrowFileReader;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.apache.arrow.vector.ipc.ArrowStreamReader;
import org.apache.arrow.vector.types.pojo.Field;
import org.apache.hadoop.fs.FileStatus;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/**
 * The text column of an Arrow IPC file or stream: both bear the name {@code .arrow}, Hugging Face's
 * datasets are streams. Null and empty texts are no documents.
 */
final class ArrowTextReader implements DocumentReader {
  private static final long MEMORY_LIMIT_BYTES = 4L << 30;
  private static final byte[] FILE_MAGIC = "ARROW1".getBytes(StandardCharsets.US_ASCII);

  // What a writer ends a stream with; without it a stream that was cut looks whole.
  private static final byte[] END_OF_STREAM = {-1, -1, -1, -1, 0, 0, 0, 0};

  private final String name;
  private final String column;
  private final long bytes;
  private final HadoopChannel channel;
  private final BufferAllocator allocator;
  private final ArrowReader reader;
  private FieldVector texts;
  private int row;
  private long rowsBefore;

  private ArrowTextReader(
      String name, String column, long bytes, HadoopChannel channel, boolean stream) {
    this.name = name;
    this.column = column;
    this.bytes = bytes;
    this.channel = channel;
    this.allocator = new RootAllocator(MEMORY_LIMIT_BYTES);
    this.reader =
        stream
            ? new ArrowStreamReader(channel, allocator, CommonsCompressionFactory.INSTANCE)
            : new ArrowFileReader(channel, allocator, CommonsCompressionFactory.INSTANCE);
  }

  static ArrowTextReader open(Storage storage, FileStatus file, String name, String column)
      throws IOException {
    HadoopChannel channel = new HadoopChannel(storage.open(file.getPath()), file.getLen());
    boolean stream;
    try {
      stream = !channel.startsWith(FILE_MAGIC);
      if (stream && !channel.endsWith(END_OF_STREAM)) {
        throw Malformed.unreadable(name, new EOFException());
      }
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
    ArrowTextReader reader = new ArrowTextReader(name, column, file.getLen(), channel, stream);
    try {
      reader.checkColumn();
      return reader;
    } catch (UserException e) {
      reader.close();
      throw e;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      reader.close();
      throw reader.damaged(e);
    }
  }

  private void checkColumn() throws IOException {
    var fields = reader.getVectorSchemaRoot().getSchema().getFields();
    if (fields.stream().noneMatch(field -> field.getName().equals(column))) {
      throw new UserException(
          name
              + ": no column '"
              + column
              + "'; it has "
              + fields.stream().map(Field::getName).toList());
    }
    FieldVector vector = reader.getVectorSchemaRoot().getVector(column);
    if (!(vector instanceof VarCharVector) && !(vector instanceof LargeVarCharVector)) {
      throw new UserException(
          name + ": column '" + column + "' is not text; choose the text column");
    }
  }

  @Override
  public Document next() {
    try {
      while (true) {
        while (texts != null && row < texts.getValueCount()) {
          String place = name + " row " + (rowsBefore + row);
          byte[] utf8 = text(row++);
          if (utf8 != null && utf8.length > 0) {
            return new Document(Malformed.decodeUtf8(utf8, utf8.length, place, 0), place);
          }
        }
        rowsBefore += row;
        row = 0;
        if (!reader.loadNextBatch()) {
          if (reader instanceof ArrowStreamReader && channel.position() != bytes) {
            throw new IOException("the stream ends at byte " + channel.position() + " of " + bytes);
          }
          texts = null;
          return null;
        }
        texts = reader.getVectorSchemaRoot().getVector(column);
      }
    } catch (UserException e) {
      throw e;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      throw damaged(e);
    }
  }

  private byte[] text(int at) {
    return texts instanceof VarCharVector small
        ? small.get(at)
        : ((LargeVarCharVector) texts).get(at);
  }

  /** A damaged length may ask for more memory than there is, hence the error among the causes. */
  private UserException damaged(Throwable e) {
    return new UserException(
        name
            + ": cannot be read as an Arrow file: "
            + String.valueOf(e.getMessage()).lines().findFirst().orElse("")
            + "; replace the file or leave it out",
        e);
  }

  @Override
  public long bytesRead() {
    return texts == null && rowsBefore > 0 ? bytes : Math.min(channel.position(), bytes);
  }

  @Override
  public void close() throws IOException {
    reader.close();
    allocator.close();
  }
}
