package org.pretrain4j.data.shards;

import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import org.apache.arrow.flatbuf.Footer;
import org.apache.arrow.vector.ipc.message.ArrowFooter;
import org.apache.hadoop.fs.ChecksumException;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Pieces;
import org.pretrain4j.data.storage.Storage;

/** An opened shard: its verified index. Holds no file open; thread-safe. */
final class Shard {
  private static final byte[] MAGIC = "ARROW1".getBytes(StandardCharsets.US_ASCII);

  /** Blocks fetched ahead of the one in use. */
  static final int PREFETCH = 4;

  private final RangeReader reader;
  private final Path path;
  private final TokenizerIdentity tokenizer;
  private final BlockIndex index;

  private Shard(RangeReader reader, Path path, TokenizerIdentity tokenizer, BlockIndex index) {
    this.reader = reader;
    this.path = path;
    this.tokenizer = tokenizer;
    this.index = index;
  }

  /**
   * @throws ShardException if the file is not the one that the manifest describes
   */
  static Shard open(
      Storage storage,
      Path path,
      ShardEntry entry,
      TokenizerIdentity tokenizer,
      Optional<Pieces> pieces) {
    String name = path.toUri().getPath();
    RangeReader reader = new RangeReader(storage, path, entry, pieces);
    try {
      byte[] footer =
          reader
              .readFooter(HexFormat.fromHexDigits(entry.footerCrc32c()))
              .orElseThrow(
                  () ->
                      new ShardException(name, "its footer fails its checksum; replace the file"));
      return new Shard(reader, path, tokenizer, parse(footer, entry, tokenizer));
    } catch (IOException | UserException e) {
      throw failure(reader, name, e);
    } catch (RuntimeException e) {
      throw new ShardException(name, "is not a shard of this dataset: " + e.getMessage(), e);
    }
  }

  /**
   * What a failed read says about the file: damaged, missing, or nothing, as when the network cuts
   * a stream short.
   */
  private static ShardException failure(RangeReader reader, String name, Exception e) {
    try {
      if (e instanceof EOFException) {
        reader.checkSize();
      }
    } catch (IOException | UserException sizeUnknown) {
      return failure(reader, name, sizeUnknown);
    }
    if (e instanceof ShardException named) {
      return named;
    }
    if (e instanceof ChecksumException) {
      return new ShardException(
          name, "fails the checksum of its file system (" + e.getMessage() + "); replace it", e);
    }
    boolean notFound =
        e instanceof FileNotFoundException || e.getCause() instanceof FileNotFoundException;
    return notFound && reader.isMissing()
        ? new ShardException(name, "is missing, but the manifest lists it; restore the file", e)
        : ShardException.unreachable(name, e);
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
    int length = length(number);
    try {
      for (int i = number + 1; i <= number + PREFETCH && i < index.size(); i++) {
        reader.prefetch(index.block(i).getOffset(), length(i));
      }
      byte[] bytes =
          reader
              .read(block.getOffset(), length, index.crc32c(number))
              .orElseThrow(
                  () ->
                      new ShardException(
                          name,
                          "record batch " + number + " fails its checksum; replace the file"));
      return BlockDecoder.decode(bytes, block.getMetadataLength(), index.tokens(number), tokenizer);
    } catch (IOException | UserException e) {
      throw failure(reader, name, e);
    } catch (RuntimeException e) {
      throw new ShardException(
          name, "record batch " + number + " cannot be decoded: " + e.getMessage(), e);
    }
  }

  private int length(int number) {
    var block = index.block(number);
    return Math.toIntExact(block.getMetadataLength() + block.getBodyLength());
  }
}
