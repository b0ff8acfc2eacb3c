package org.pretrain4j.data.shards;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.arrow.compression.CommonsCompressionFactory;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.compression.CompressionUtil;
import org.apache.arrow.vector.ipc.ArrowFileWriter;
import org.apache.arrow.vector.ipc.message.IpcOption;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.storage.AtomicFile;
import org.pretrain4j.data.storage.Storage;

/**
 * Writes one shard. The same rows give the same bytes. The file appears under its name when {@link
 * #finish} returns; closing before that leaves nothing.
 *
 * <p>A document that is longer than a block becomes several rows, of which only the last ends with
 * the end-of-document token.
 */
public final class ShardWriter implements AutoCloseable {
  // Level 3 decodes as fast as level 1 and is about a tenth smaller on token data.
  private static final int ZSTD_LEVEL = 3;

  private final String name;
  private final TokenizerIdentity tokenizer;
  private final AtomicFile file;
  private final ChecksumChannel channel;
  private final BufferAllocator allocator;
  private final VectorSchemaRoot root;
  private final ArrowFileWriter writer;
  private final Map<String, String> footerMetadata = new LinkedHashMap<>();
  private final List<BlockIndex.Entry> blocks = new ArrayList<>();

  private final int[] tokens;
  private int tokenCount;
  private int[] rowEnds = new int[1024];
  private int rowCount;
  private int blockDocuments;
  private long totalTokens;
  private long totalDocuments;

  public ShardWriter(Storage storage, Path target, TokenizerIdentity tokenizer, int blockTokens)
      throws IOException {
    this.name = target.getName();
    this.tokenizer = tokenizer;
    this.tokens = new int[blockTokens];
    this.file = storage.createAtomically(target);
    this.channel = new ChecksumChannel(file.stream());
    this.allocator = new RootAllocator();
    this.root = VectorSchemaRoot.create(ShardSchema.of(tokenizer), allocator);
    this.writer =
        new ArrowFileWriter(
            root,
            null,
            channel,
            footerMetadata,
            IpcOption.DEFAULT,
            CommonsCompressionFactory.INSTANCE,
            CompressionUtil.CodecType.ZSTD,
            Optional.of(ZSTD_LEVEL));
    writer.start();
  }

  /**
   * Adds a document.
   *
   * @param document its tokens, the end-of-document token last and nowhere else
   */
  public void add(int[] document) throws IOException {
    if (document.length == 0 || document[document.length - 1] != tokenizer.endOfDocument()) {
      throw new IllegalArgumentException("a document must end with the end-of-document token");
    }
    for (int i = 0; i < document.length - 1; i++) {
      if (document[i] == tokenizer.endOfDocument()) {
        throw new IllegalArgumentException("a document ends at token " + i + " already");
      }
    }
    for (int token : document) {
      if (token < 0 || token >= tokenizer.vocabSize()) {
        throw new IllegalArgumentException(
            "token " + token + " outside of a vocabulary of " + tokenizer.vocabSize());
      }
    }
    if (tokenCount + document.length > tokens.length) {
      flush();
    }
    int at = 0;
    while (document.length - at > tokens.length) {
      addRow(document, at, tokens.length);
      at += tokens.length;
      flush();
    }
    blockDocuments++;
    addRow(document, at, document.length - at);
  }

  /** Adds a shuffled sequence, one row for each document or part of one in it. */
  public void add(Sequence sequence) throws IOException {
    int length = sequence.tokens().length;
    if (length > tokens.length) {
      throw new IllegalArgumentException(
          "a sequence of " + length + " tokens in blocks of " + tokens.length);
    }
    if (tokenCount + length > tokens.length) {
      flush();
    }
    int from = 0;
    for (int start : sequence.documentStarts()) {
      addPart(sequence.tokens(), from, start);
      from = start;
    }
    addPart(sequence.tokens(), from, length);
  }

  private void addPart(int[] sequence, int from, int to) {
    if (sequence[to - 1] == tokenizer.endOfDocument()) {
      blockDocuments++;
    }
    addRow(sequence, from, to - from);
  }

  private void addRow(int[] document, int from, int length) {
    System.arraycopy(document, from, tokens, tokenCount, length);
    tokenCount += length;
    if (rowCount == rowEnds.length) {
      rowEnds = Arrays.copyOf(rowEnds, 2 * rowCount);
    }
    rowEnds[rowCount++] = tokenCount;
  }

  /** Tokens added so far. */
  public long tokens() {
    return totalTokens + tokenCount;
  }

  private void flush() throws IOException {
    if (rowCount == 0) {
      return;
    }
    fill((ListVector) root.getVector(ShardSchema.COLUMN));
    root.setRowCount(rowCount);
    channel.beginBlock();
    writer.writeBatch();
    blocks.add(new BlockIndex.Entry(tokenCount, blockDocuments, channel.blockChecksum()));
    totalTokens += tokenCount;
    totalDocuments += blockDocuments;
    tokenCount = 0;
    rowCount = 0;
    blockDocuments = 0;
  }

  private void fill(ListVector list) {
    FieldVector items = list.getDataVector();
    list.setInitialCapacity(rowCount);
    items.setInitialCapacity(tokenCount);
    list.allocateNew();
    items.allocateNew();
    setValid(items.getValidityBuffer(), tokenCount);
    setValid(list.getValidityBuffer(), rowCount);
    ArrowBuf data = items.getDataBuffer();
    if (tokenizer.tokenType() == TokenType.UINT16) {
      for (int i = 0; i < tokenCount; i++) {
        data.setShort(2L * i, tokens[i]);
      }
    } else {
      for (int i = 0; i < tokenCount; i++) {
        data.setInt(4L * i, tokens[i]);
      }
    }
    ArrowBuf offsets = list.getOffsetBuffer();
    offsets.setInt(0, 0);
    for (int i = 0; i < rowCount; i++) {
      offsets.setInt(4L * (i + 1), rowEnds[i]);
    }
    items.setValueCount(tokenCount);
    list.setLastSet(rowCount - 1);
    list.setValueCount(rowCount);
  }

  private static void setValid(ArrowBuf validity, int count) {
    validity.setZero(0, validity.capacity());
    validity.setOne(0, (long) (count / 8));
    if (count % 8 != 0) {
      validity.setByte(count / 8, (1 << count % 8) - 1);
    }
  }

  /** Completes and publishes the file. At least one document must have been added. */
  public ShardEntry finish() throws IOException {
    flush();
    if (blocks.isEmpty()) {
      throw new IllegalStateException("a shard without documents");
    }
    footerMetadata.put(BlockIndex.METADATA_KEY, BlockIndex.encode(blocks));
    long footerOffset = channel.position();
    channel.beginBlock();
    writer.end();
    int footerCrc = channel.blockChecksum();
    file.commit();
    HexFormat hex = HexFormat.of();
    return new ShardEntry(
        name,
        channel.position(),
        totalDocuments,
        totalTokens,
        hex.toHexDigits(channel.checksum()),
        footerOffset,
        hex.toHexDigits(footerCrc));
  }

  @Override
  public void close() throws IOException {
    try {
      root.close();
      allocator.close();
    } finally {
      file.close();
    }
  }
}
