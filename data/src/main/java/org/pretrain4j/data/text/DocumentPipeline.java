package org.pretrain4j.data.text;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import org.pretrain4j.configuration.UserException;

/**
 * A function over all documents of a feed, computed by several threads, its results in the order of
 * the documents. Memory is bounded by the text in flight. For one thread to draw from.
 *
 * @param <T> what becomes of a document
 */
public final class DocumentPipeline<T> implements AutoCloseable {
  private static final long MAX_CHARACTERS_IN_FLIGHT = 64L << 20;

  private final DocumentFeed feed;
  private final Function<DocumentFeed.Numbered, T> function;
  private final int maxBatches;
  private final ExecutorService pool;
  private final Queue<InFlight<T>> pending = new ArrayDeque<>();
  private long charactersInFlight;

  private record InFlight<T>(Future<List<T>> results, long characters) {}

  /**
   * @param feed that the caller closes, after the pipeline
   * @param threads that compute
   * @param function thread-safe
   */
  public DocumentPipeline(
      DocumentFeed feed, int threads, Function<DocumentFeed.Numbered, T> function) {
    this.feed = feed;
    this.function = function;
    this.maxBatches = 4 * threads + 4;
    this.pool =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().name("documents-", 0).daemon().factory());
  }

  /**
   * The results of the next documents; none at the end.
   *
   * @throws RuntimeException that the function threw for one of them
   */
  public List<T> next() throws IOException {
    while (pending.size() < maxBatches
        && charactersInFlight < MAX_CHARACTERS_IN_FLIGHT
        && feed.hasNext()) {
      DocumentFeed.Batch batch = feed.next();
      pending.add(new InFlight<>(pool.submit(() -> apply(batch)), batch.characters()));
      charactersInFlight += batch.characters();
    }
    if (pending.isEmpty()) {
      return List.of();
    }
    InFlight<T> first = pending.remove();
    charactersInFlight -= first.characters();
    return get(first.results());
  }

  private List<T> apply(DocumentFeed.Batch batch) {
    List<T> results = new ArrayList<>(batch.documents().size());
    for (DocumentFeed.Numbered document : batch.documents()) {
      results.add(function.apply(document));
    }
    return results;
  }

  private static <T> List<T> get(Future<List<T>> future) {
    try {
      return future.get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw new IllegalStateException(e.getCause());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new UserException("interrupted; run it again to go on", e);
    }
  }

  /** Drops what is under way. */
  @Override
  public void close() {
    pool.shutdownNow();
    pool.close();
  }
}
