package org.pretrain4j.data.shards;

import com.github.luben.zstd.Zstd;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.apache.arrow.flatbuf.Buffer;
import org.apache.arrow.flatbuf.CompressionType;
import org.apache.arrow.flatbuf.FieldNode;
import org.apache.arrow.flatbuf.Message;
import org.apache.arrow.flatbuf.MessageHeader;
import org.apache.arrow.flatbuf.RecordBatch;

/**
 * Turns the verified bytes of a record batch into tokens.
 *
 * <p>Works on heap arrays, not through Arrow's vectors: this is the hot path of training, and on a
 * batch that is not what it claims to be the vectors leak native memory or ask for any amount of
 * it.
 */
final class BlockDecoder {
  // Writers may pad buffers to a multiple of 64 bytes.
  private static final int MAX_PADDING = 64;

  private final byte[] bytes;
  private final int bodyStart;
  private final RecordBatch batch;

  private BlockDecoder(byte[] bytes, int metadataLength) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    // A message begins with a continuation mark and its length; before Arrow 0.15 with its length.
    int start = buffer.getInt(0) == -1 ? 8 : 4;
    int length = buffer.getInt(start - 4);
    if (length <= 0 || length > metadataLength - start) {
      throw new IllegalArgumentException("a message of " + length + " bytes");
    }
    ByteBuffer slice = buffer.slice(start, length).order(ByteOrder.LITTLE_ENDIAN);
    Message message = Message.getRootAsMessage(slice);
    if (message.headerType() != MessageHeader.RecordBatch) {
      throw new IllegalArgumentException("not a record batch");
    }
    this.bytes = bytes;
    this.bodyStart = metadataLength;
    this.batch = (RecordBatch) message.header(new RecordBatch());
  }

  /**
   * @param bytes message and body of the batch
   * @param metadataLength bytes of the message
   * @param expectedTokens what the shard's index says
   * @throws RuntimeException if the batch is not what a shard of this tokenizer holds
   */
  static Block decode(
      byte[] bytes, int metadataLength, int expectedTokens, TokenizerIdentity tokenizer) {
    return new BlockDecoder(bytes, metadataLength).read(expectedTokens, tokenizer);
  }

  private Block read(int expectedTokens, TokenizerIdentity tokenizer) {
    if (batch.nodesLength() != 2 || batch.buffersLength() != 4) {
      throw new IllegalArgumentException("not one column of lists");
    }
    FieldNode list = batch.nodes(0);
    FieldNode items = batch.nodes(1);
    if (list.nullCount() != 0 || items.nullCount() != 0) {
      throw new IllegalArgumentException("null tokens or rows");
    }
    if (items.length() != expectedTokens || list.length() < 1 || list.length() > expectedTokens) {
      throw new IllegalArgumentException(
          items.length() + " tokens in " + list.length() + " rows, expected " + expectedTokens);
    }
    int[] tokens = new int[expectedTokens];
    ByteBuffer data = buffer(3, (long) tokenizer.tokenType().bytes() * expectedTokens);
    if (tokenizer.tokenType() == TokenType.UINT16) {
      char[] stored = new char[expectedTokens];
      data.asCharBuffer().get(stored);
      for (int i = 0; i < expectedTokens; i++) {
        tokens[i] = stored[i];
      }
    } else {
      data.asIntBuffer().get(tokens);
    }
    checkVocabulary(tokens, tokenizer.vocabSize());
    int rows = (int) list.length();
    int[] offsets = new int[rows + 1];
    buffer(1, 4L * offsets.length).asIntBuffer().get(offsets);
    return new Block(tokens, documentEnds(offsets, tokens, tokenizer.endOfDocument()));
  }

  /** A buffer of the batch, decompressed; at least as many bytes as needed. */
  private ByteBuffer buffer(int number, long needed) {
    Buffer place = batch.buffers(number);
    int bodyLength = bytes.length - bodyStart;
    if (place.offset() < 0 || place.length() < 0 || place.offset() > bodyLength - place.length()) {
      throw new IllegalArgumentException("buffer " + number + " lies outside of the batch");
    }
    int from = bodyStart + (int) place.offset();
    int length = (int) place.length();
    ByteBuffer stored = ByteBuffer.wrap(bytes, from, length).order(ByteOrder.LITTLE_ENDIAN);
    if (batch.compression() == null) {
      checkLength(number, length, needed);
      return stored;
    }
    if (batch.compression().codec() != CompressionType.ZSTD) {
      throw new IllegalArgumentException("compressed with something else than zstd");
    }
    long uncompressed = length < 8 ? 0 : stored.getLong();
    if (uncompressed == -1) {
      checkLength(number, length - 8L, needed);
      return stored.slice().order(ByteOrder.LITTLE_ENDIAN);
    }
    checkLength(number, uncompressed, needed);
    byte[] plain = new byte[(int) uncompressed];
    long size = Zstd.decompressByteArray(plain, 0, plain.length, bytes, from + 8, length - 8);
    if (Zstd.isError(size) || size != uncompressed) {
      throw new IllegalArgumentException("buffer " + number + " does not decompress");
    }
    return ByteBuffer.wrap(plain).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void checkLength(int number, long length, long needed) {
    if (length < needed || length > needed + MAX_PADDING) {
      throw new IllegalArgumentException(
          "buffer " + number + " of " + length + " bytes, expected " + needed);
    }
  }

  private static void checkVocabulary(int[] tokens, int vocabSize) {
    int outside = 0;
    for (int token : tokens) {
      // The sign bit is set if token < 0 or token >= vocabSize; one test for the whole block.
      outside |= token | (vocabSize - 1 - token);
    }
    if (outside < 0) {
      throw new IllegalArgumentException("a token outside of the vocabulary of " + vocabSize);
    }
  }

  private static int[] documentEnds(int[] offsets, int[] tokens, int endOfDocument) {
    int[] ends = new int[offsets.length - 1];
    int count = 0;
    for (int row = 0; row < ends.length; row++) {
      int end = offsets[row + 1];
      if (end <= offsets[row] || end > tokens.length) {
        throw new IllegalArgumentException("row " + row + " ends at token " + end);
      }
      if (tokens[end - 1] == endOfDocument) {
        ends[count++] = end;
      }
    }
    if (offsets[0] != 0 || offsets[ends.length] != tokens.length) {
      throw new IllegalArgumentException("rows that do not cover all tokens");
    }
    return Arrays.copyOf(ends, count);
  }
}
