package org.pretrain4j.data.shards;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.util.Arrays;
import org.apache.arrow.compression.CommonsCompressionFactory;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.VectorLoader;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.ipc.ReadChannel;
import org.apache.arrow.vector.ipc.message.ArrowBlock;
import org.apache.arrow.vector.ipc.message.ArrowRecordBatch;
import org.apache.arrow.vector.ipc.message.MessageSerializer;

/** Turns the verified bytes of a record batch into tokens. */
final class BlockDecoder {
  private static final long MEMORY_LIMIT_BYTES = 2L << 30;

  private BlockDecoder() {}

  /**
   * @param bytes message and body of the batch
   * @param expectedTokens what the shard's index says
   * @throws IllegalArgumentException if the batch is not what a shard of this tokenizer holds
   */
  static Block decode(
      byte[] bytes, ArrowBlock block, int expectedTokens, TokenizerIdentity tokenizer)
      throws IOException {
    ArrowBlock here = new ArrowBlock(0, block.getMetadataLength(), block.getBodyLength());
    try (BufferAllocator allocator = new RootAllocator(MEMORY_LIMIT_BYTES);
        VectorSchemaRoot root = VectorSchemaRoot.create(ShardSchema.of(tokenizer), allocator)) {
      ReadChannel channel = new ReadChannel(Channels.newChannel(new ByteArrayInputStream(bytes)));
      try (ArrowRecordBatch batch =
          MessageSerializer.deserializeRecordBatch(channel, here, allocator)) {
        new VectorLoader(root, CommonsCompressionFactory.INSTANCE).load(batch);
      }
      return read((ListVector) root.getVector(ShardSchema.COLUMN), expectedTokens, tokenizer);
    }
  }

  private static Block read(ListVector list, int expectedTokens, TokenizerIdentity tokenizer) {
    FieldVector items = list.getDataVector();
    int rows = list.getValueCount();
    if (items.getValueCount() != expectedTokens || rows < 1) {
      throw new IllegalArgumentException(
          items.getValueCount() + " tokens where the index says " + expectedTokens);
    }
    if (items.getNullCount() != 0 || list.getNullCount() != 0) {
      throw new IllegalArgumentException("null tokens or rows");
    }
    int[] tokens = new int[expectedTokens];
    if (tokenizer.tokenType() == TokenType.UINT16) {
      char[] stored = new char[expectedTokens];
      buffer(items.getDataBuffer(), 2L * expectedTokens).asCharBuffer().get(stored);
      for (int i = 0; i < expectedTokens; i++) {
        tokens[i] = stored[i];
      }
    } else {
      buffer(items.getDataBuffer(), 4L * expectedTokens).asIntBuffer().get(tokens);
    }
    checkVocabulary(tokens, tokenizer.vocabSize());
    return new Block(tokens, documentEnds(list.getOffsetBuffer(), rows, tokens, tokenizer));
  }

  private static void checkVocabulary(int[] tokens, int vocabSize) {
    int outside = 0;
    for (int token : tokens) {
      // Sign bit set if token < 0 or token >= vocabSize; one branch for the whole block.
      outside |= token | (vocabSize - 1 - token);
    }
    if (outside < 0) {
      throw new IllegalArgumentException("a token outside of the vocabulary of " + vocabSize);
    }
  }

  private static int[] documentEnds(
      ArrowBuf offsets, int rows, int[] tokens, TokenizerIdentity tokenizer) {
    int[] ends = new int[rows];
    int count = 0;
    int previous = 0;
    for (int i = 0; i < rows; i++) {
      int end = offsets.getInt(4L * (i + 1));
      if (end <= previous || end > tokens.length) {
        throw new IllegalArgumentException("row " + i + " ends at token " + end);
      }
      if (tokens[end - 1] == tokenizer.endOfDocument()) {
        ends[count++] = end;
      }
      previous = end;
    }
    if (offsets.getInt(0) != 0 || previous != tokens.length) {
      throw new IllegalArgumentException("rows that do not cover all tokens");
    }
    return Arrays.copyOf(ends, count);
  }

  private static ByteBuffer buffer(ArrowBuf data, long bytes) {
    return data.nioBuffer(0, Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
  }
}
