package org.pretrain4j.data.shards;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import org.apache.arrow.flatbuf.Footer;
import org.apache.arrow.vector.ipc.message.ArrowFooter;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/** An opened shard: its verified index. Holds no file open; thread-safe. */
final class Shard {
  private static final byte[] MAGIC = "ARROW1".getBytes(StandardCharsets.US_ASCII);

  private final Storage storage;
  private final Path path;
  private final TokenizerIdentity tokenizer;
  private final BlockIndex index;

  private Shard(Storage storage, Path path, TokenizerIdentity tokenizer, BlockIndex index) {
    this.storage = storage;
    this.path = path;
    this.tokenizer = tokenizer;
    this.index = index;
  }

  /**
   * @throws ShardException if the file is not the one that the manifest describes
   */
  static Shard open(Storage storage, Path path, ShardEntry entry, TokenizerIdentity tokenizer) {
    String name = path.toUri().getPath();
    try {
      if (!storage.exists(path)) {
        throw new ShardException(name, "is missing, but the manifest lists it; restore the file");
      }
      checkSize(name, storage.status(path).getLen(), entry);
      int length = Math.toIntExact(entry.bytes() - entry.footerOffset());
      byte[] footer = readFully(storage, path, entry.footerOffset(), length);
      int expected = HexFormat.fromHexDigits(entry.footerCrc32c());
      if (checksum(footer) != expected) {
        throw new ShardException(name, "its footer fails its checksum; replace the file");
      }
      return new Shard(storage, path, tokenizer, parse(footer, entry, tokenizer));
    } catch (ShardException e) {
      throw e;
    } catch (EOFException e) {
      throw new ShardException(name, "ends too early (truncated?); replace the file", e);
    } catch (IOException e) {
      throw ShardException.unreachable(name, e);
    } catch (RuntimeException e) {
      throw new ShardException(name, "is not a shard of this dataset: " + e.getMessage(), e);
    }
  }

  static void checkSize(String name, long bytes, ShardEntry entry) {
    if (bytes != entry.bytes()) {
      throw new ShardException(
          name,
          "has " + bytes + " bytes, but the manifest says " + entry.bytes() + "; replace the file");
    }
  }

  private static BlockIndex parse(byte[] footer, ShardEntry entry, TokenizerIdentity tokenizer) {
    int magic = footer.length - MAGIC.length;
    if (magic < 4 || !Arrays.equals(footer, magic, footer.length, MAGIC, 0, MAGIC.length)) {
      throw new IllegalArgumentException("it is not an Arrow file");
    }
    ByteBuffer buffer = ByteBuffer.wrap(footer).order(ByteOrder.LITTLE_ENDIAN);
    int length = buffer.getInt(magic - 4);
    if (length <= 0 || length > magic - 4) {
      throw new IllegalArgumentException("an Arrow footer of " + length + " bytes");
    }
    ByteBuffer message = buffer.slice(magic - 4 - length, length).order(ByteOrder.LITTLE_ENDIAN);
    ArrowFooter parsed = new ArrowFooter(Footer.getRootAsFooter(message));
    if (!parsed.getSchema().equals(ShardSchema.of(tokenizer))) {
      throw new IllegalArgumentException(
          "schema "
              + parsed.getSchema().toString().lines().findFirst().orElse("")
              + ", expected "
              + ShardSchema.of(tokenizer));
    }
    String blocks = parsed.getMetaData().get(BlockIndex.METADATA_KEY);
    return BlockIndex.decode(parsed.getRecordBatches(), blocks, entry);
  }

  String name() {
    return path.toUri().getPath();
  }

  BlockIndex index() {
    return index;
  }

  /**
   * Reads, verifies and decodes one block.
   *
   * @throws ShardException if it is not what was written
   */
  Block read(int number) {
    String name = path.toUri().getPath();
    var block = index.block(number);
    int length = Math.toIntExact(block.getMetadataLength() + block.getBodyLength());
    try {
      byte[] bytes = readFully(storage, path, block.getOffset(), length);
      if (checksum(bytes) != index.crc32c(number)) {
        throw new ShardException(
            name, "record batch " + number + " fails its checksum; replace the file");
      }
      return BlockDecoder.decode(bytes, block.getMetadataLength(), index.tokens(number), tokenizer);
    } catch (ShardException e) {
      throw e;
    } catch (EOFException e) {
      throw new ShardException(name, "ends too early (truncated?); replace the file", e);
    } catch (IOException e) {
      throw ShardException.unreachable(name, e);
    } catch (UserException e) {
      throw new ShardException(name, "is missing, but the manifest lists it; restore the file", e);
    } catch (RuntimeException e) {
      throw new ShardException(
          name, "record batch " + number + " cannot be decoded: " + e.getMessage(), e);
    }
  }

  private static byte[] readFully(Storage storage, Path path, long offset, int length)
      throws IOException {
    byte[] bytes = new byte[length];
    try (FSDataInputStream in = storage.open(path)) {
      in.readFully(offset, bytes, 0, length);
    }
    return bytes;
  }

  private static int checksum(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, bytes.length);
    return (int) crc.getValue();
  }
}
