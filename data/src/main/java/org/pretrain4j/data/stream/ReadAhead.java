package org.pretrain4j.data.stream;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Fetches one rank's rows of the coming steps in threads of its own and hands them out step by
 * step. {@link #next} is for one thread. What goes wrong while fetching is thrown when its step is
 * due.
 */
public final class ReadAhead implements AutoCloseable {
  private final TokenStream stream;
  private final int fromRow;
  private final int toRow;
  private final int depth;
  private final ExecutorService pool;
  private final Deque<Future<List<Row>>> pending = new ArrayDeque<>();
  private long nextStep;
  private long waitNanos;
  private volatile boolean closed;

  /**
   * @param firstStep whose rows {@link #next} gives first
   * @param fromRow the rank's first row in the global batch
   * @param toRow the row after its last
   * @param depth steps kept ready or under way, 1 or more
   * @param threads that fetch
   */
  public ReadAhead(
      TokenStream stream, long firstStep, int fromRow, int toRow, int depth, int threads) {
    if (fromRow < 0 || toRow > stream.plan().rowsPerStep() || fromRow >= toRow) {
      throw new IllegalArgumentException("rows " + fromRow + " to " + toRow);
    }
    if (depth < 1) {
      throw new IllegalArgumentException("depth " + depth);
    }
    this.stream = stream;
    this.nextStep = firstStep;
    this.fromRow = fromRow;
    this.toRow = toRow;
    this.depth = depth;
    this.pool =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().name("read-ahead-", 0).daemon().factory());
    fill();
  }

  private void fill() {
    while (pending.size() < depth && nextStep < stream.plan().steps()) {
      long step = nextStep++;
      pending.add(pool.submit(() -> fetch(step)));
    }
  }

  private List<Row> fetch(long step) {
    List<Row> rows = new ArrayList<>(toRow - fromRow);
    for (int row = fromRow; row < toRow; row++) {
      if (closed) {
        throw new IllegalStateException("closed while reading step " + step);
      }
      rows.add(stream.row(step, row));
    }
    return rows;
  }

  /**
   * The rank's rows of the next step, in order.
   *
   * @throws IllegalStateException after the last step of the plan
   * @throws org.pretrain4j.configuration.UserException if the step's data cannot be read
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public List<Row> next() throws InterruptedException {
    if (pending.isEmpty()) {
      throw new IllegalStateException("no step after the last");
    }
    long started = System.nanoTime();
    try {
      List<Row> rows = pending.remove().get();
      fill();
      return rows;
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw new IllegalStateException(e.getCause());
      }
    } finally {
      waitNanos += System.nanoTime() - started;
    }
  }

  /** Seconds that {@link #next} has waited since this was last asked. */
  public double takeWaitSeconds() {
    double seconds = waitNanos / 1e9;
    waitNanos = 0;
    return seconds;
  }

  /** Stops the threads after the block that each may be reading; drops steps not handed out. */
  @Override
  public void close() {
    // No interrupt: it would fail a block that another rank's reader may be waiting for.
    closed = true;
    pending.forEach(step -> step.cancel(false));
    pool.close();
  }
}
