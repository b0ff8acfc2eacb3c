package org.pretrain4j.data.storage;

import java.io.IOException;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * The pieces that a reader will ask for next, on their way or in memory, so that several requests
 * to a remote source are under way at a time. Holds a few; each is handed out once.
 */
public final class FetchAhead implements Pieces {
  private final int most;
  private final Map<String, CompletableFuture<byte[]>> pieces = new LinkedHashMap<>();

  /**
   * @param most pieces that are held; of more the oldest is dropped
   */
  public FetchAhead(int most) {
    this.most = most;
  }

  @Override
  public byte[] get(String key, Fetch fetch) throws IOException {
    CompletableFuture<byte[]> ahead;
    synchronized (this) {
      ahead = pieces.remove(key);
    }
    if (ahead != null) {
      try {
        return ahead.join();
      } catch (CompletionException e) {
        // What matters is whether it can be read now.
        return fetch.fetch();
      }
    }
    return fetch.fetch();
  }

  @Override
  public void prefetch(String key, Fetch fetch) {
    CompletableFuture<byte[]> future = new CompletableFuture<>();
    synchronized (this) {
      if (pieces.putIfAbsent(key, future) != null) {
        return;
      }
      if (pieces.size() > most) {
        Iterator<String> oldest = pieces.keySet().iterator();
        oldest.next();
        oldest.remove();
      }
    }
    Thread.ofVirtual()
        .name("fetch-ahead")
        .start(
            () -> {
              try {
                future.complete(fetch.fetch());
              } catch (Throwable e) {
                // Whatever it was, nobody may wait for ever; the reader's own fetch shows it again.
                future.completeExceptionally(e);
              }
            });
  }

  @Override
  public synchronized void forget(String key) {
    pieces.remove(key);
  }
}
