package org.pretrain4j.data.shards;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.apache.arrow.vector.ipc.message.ArrowBlock;

/**
 * Where the blocks of one shard lie and which tokens they hold: the Arrow footer's list, with the
 * token counts and checksums that we keep in its custom metadata.
 */
final class BlockIndex {
  static final String METADATA_KEY = "pretrain4j.blocks";
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long MAX_BLOCK_BYTES = 1L << 30;

  /** What the custom metadata says of one block. */
  record Entry(int tokens, int documents, int crc32c) {}

  private final ArrowBlock[] blocks;
  private final int[] crc32c;
  private final long[] firstToken;

  private BlockIndex(ArrowBlock[] blocks, int[] crc32c, long[] firstToken) {
    this.blocks = blocks;
    this.crc32c = crc32c;
    this.firstToken = firstToken;
  }

  static String encode(List<Entry> entries) {
    ArrayNode list = JSON.createArrayNode();
    for (Entry entry : entries) {
      list.addArray()
          .add(entry.tokens())
          .add(entry.documents())
          .add(HexFormat.of().toHexDigits(entry.crc32c()));
    }
    return list.toString();
  }

  /**
   * @throws IllegalArgumentException if footer, metadata and manifest disagree
   */
  static BlockIndex decode(List<ArrowBlock> blocks, String metadata, ShardEntry shard) {
    JsonNode list;
    try {
      list = JSON.readTree(metadata == null ? "null" : metadata);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("unreadable '" + METADATA_KEY + "' in the footer", e);
    }
    if (!list.isArray() || list.size() != blocks.size()) {
      throw new IllegalArgumentException("no '" + METADATA_KEY + "' of each record batch");
    }
    int[] crc32c = new int[blocks.size()];
    long[] firstToken = new long[blocks.size() + 1];
    long documents = 0;
    long end = 0;
    for (int i = 0; i < blocks.size(); i++) {
      ArrowBlock block = blocks.get(i);
      int tokens = list.get(i).path(0).asInt();
      documents += list.get(i).path(1).asInt();
      crc32c[i] = HexFormat.fromHexDigits(list.get(i).path(2).asText());
      if (tokens <= 0
          || block.getOffset() < end
          || block.getMetadataLength() <= 0
          || block.getBodyLength() < 0) {
        throw new IllegalArgumentException("impossible record batch " + i);
      }
      long length = Math.addExact(block.getMetadataLength(), block.getBodyLength());
      end = Math.addExact(block.getOffset(), length);
      if (length > MAX_BLOCK_BYTES || end > shard.footerOffset()) {
        throw new IllegalArgumentException("record batch " + i + " does not fit the file");
      }
      firstToken[i + 1] = firstToken[i] + tokens;
    }
    if (firstToken[blocks.size()] != shard.tokens() || documents != shard.documents()) {
      throw new IllegalArgumentException("its record batches do not sum to the manifest's counts");
    }
    return new BlockIndex(blocks.toArray(ArrowBlock[]::new), crc32c, firstToken);
  }

  int size() {
    return blocks.length;
  }

  ArrowBlock block(int i) {
    return blocks[i];
  }

  int crc32c(int i) {
    return crc32c[i];
  }

  /** Position of the block's first token in the shard; for i = size, the number of tokens. */
  long firstToken(int i) {
    return firstToken[i];
  }

  int tokens(int i) {
    return (int) (firstToken[i + 1] - firstToken[i]);
  }

  /** The block that holds a token. */
  int find(long token) {
    int i = Arrays.binarySearch(firstToken, token);
    return i >= 0 ? i : -i - 2;
  }
}
