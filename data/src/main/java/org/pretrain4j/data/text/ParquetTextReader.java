package org.pretrain4j.data.text;

import java.io.IOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.api.ReadSupport;
import org.apache.parquet.hadoop.example.GroupReadSupport;
import org.apache.parquet.hadoop.util.HadoopInputFile;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/**
 * The text column of a Parquet file; no other column is read. Null and empty texts are no
 * documents.
 */
final class ParquetTextReader implements DocumentReader {
  private final String name;
  private final long bytes;
  private final long rows;
  private final ParquetReader<Group> reader;
  private long row;

  private ParquetTextReader(String name, long bytes, long rows, ParquetReader<Group> reader) {
    this.name = name;
    this.bytes = bytes;
    this.rows = rows;
    this.reader = reader;
  }

  static ParquetTextReader open(Storage storage, FileStatus file, String name, String column) {
    Configuration configuration = new Configuration(storage.configuration());
    configuration.setBoolean("parquet.page.verify-checksum.enabled", true);
    try (ParquetFileReader footer =
        ParquetFileReader.open(HadoopInputFile.fromStatus(file, configuration))) {
      MessageType schema = footer.getFileMetaData().getSchema();
      configuration.set(
          ReadSupport.PARQUET_READ_SCHEMA, projection(name, schema, column).toString());
      ParquetReader<Group> reader =
          ParquetReader.builder(new GroupReadSupport(), file.getPath())
              .withConf(configuration)
              .build();
      return new ParquetTextReader(name, file.getLen(), footer.getRecordCount(), reader);
    } catch (UserException e) {
      throw e;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      throw damaged(name, e);
    }
  }

  private static MessageType projection(String name, MessageType schema, String column) {
    if (!schema.containsField(column)) {
      throw new UserException(
          name
              + ": no column '"
              + column
              + "'; it has "
              + schema.getFields().stream().map(Type::getName).toList());
    }
    Type type = schema.getType(column);
    if (!type.isPrimitive()
        || type.isRepetition(Type.Repetition.REPEATED)
        || type.asPrimitiveType().getPrimitiveTypeName() != PrimitiveTypeName.BINARY) {
      throw new UserException(
          name + ": column '" + column + "' is not text; choose the text column");
    }
    return new MessageType(schema.getName(), type);
  }

  @Override
  public Document next() {
    try {
      for (Group group = reader.read(); group != null; group = reader.read()) {
        String place = name + " row " + row++;
        if (group.getFieldRepetitionCount(0) > 0) {
          byte[] utf8 = group.getBinary(0, 0).getBytes();
          if (utf8.length > 0) {
            return new Document(Malformed.decodeUtf8(utf8, utf8.length, place, 0), place);
          }
        }
      }
    } catch (UserException e) {
      throw e;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      throw damaged(name, e);
    }
    if (row != rows) {
      throw new UserException(
          name + ": ends after " + row + " of " + rows + " rows; replace the file");
    }
    return null;
  }

  /** A damaged length may ask for more memory than there is, hence the error among the causes. */
  private static UserException damaged(String name, Throwable e) {
    return new UserException(
        name
            + ": cannot be read as Parquet: "
            + String.valueOf(e.getMessage()).lines().findFirst().orElse("")
            + "; replace the file or leave it out",
        e);
  }

  @Override
  public long bytesRead() {
    return rows == 0 ? bytes : (long) (bytes * ((double) row / rows));
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
