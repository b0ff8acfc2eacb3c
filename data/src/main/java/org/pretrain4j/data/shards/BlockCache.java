package org.pretrain4j.data.shards;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/**
 * Decoded blocks, least recently used out first, bounded in bytes. All ranks of a JVM share one:
 * neighbouring rows of a batch lie in the same blocks. Each block is loaded once however many
 * threads ask for it; a failed load is not remembered. Thread-safe.
 */
public final class BlockCache {
  /** Enough for a block of each source of a large mixture. */
  public static final long DEFAULT_BYTES = 256L << 20;

  record Key(Object shard, int block) {}

  private final long maxBytes;
  private final Map<Key, CompletableFuture<Block>> blocks = new LinkedHashMap<>(64, 0.75f, true);
  private long bytes;

  /**
   * @param maxBytes decoded bytes kept; the block that is in use may exceed it
   */
  public BlockCache(long maxBytes) {
    this.maxBytes = maxBytes;
  }

  Block get(Key key, Supplier<Block> loader) {
    CompletableFuture<Block> future;
    boolean load = false;
    synchronized (this) {
      future = blocks.get(key);
      if (future == null) {
        future = new CompletableFuture<>();
        blocks.put(key, future);
        load = true;
      }
    }
    return load ? load(key, future, loader) : await(future);
  }

  private Block load(Key key, CompletableFuture<Block> future, Supplier<Block> loader) {
    try {
      Block block = loader.get();
      future.complete(block);
      synchronized (this) {
        bytes += block.bytes();
        evict();
      }
      return block;
    } catch (Throwable e) {
      synchronized (this) {
        blocks.remove(key);
      }
      future.completeExceptionally(e);
      throw e;
    }
  }

  private static Block await(CompletableFuture<Block> future) {
    try {
      return future.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw e;
    }
  }

  private void evict() {
    Iterator<CompletableFuture<Block>> oldest = blocks.values().iterator();
    while (bytes > maxBytes && oldest.hasNext()) {
      CompletableFuture<Block> future = oldest.next();
      if (future.isDone()) {
        bytes -= future.join().bytes();
        oldest.remove();
      }
    }
  }

  /** Bytes of the decoded blocks that are kept now. */
  public synchronized long bytes() {
    return bytes;
  }
}
