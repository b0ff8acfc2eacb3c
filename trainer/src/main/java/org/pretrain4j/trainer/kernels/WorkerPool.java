package org.pretrain4j.trainer.kernels;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A fixed number of threads for loops of some ten microseconds to milliseconds. The calling thread
 * is one of them. Between loops the others spin for a moment, as the next loop often follows at
 * once, and then park.
 *
 * <p>A loop is cut into chunks of a fixed size, whatever the number of threads, so a result that
 * depends on the chunks alone is the same on any machine. Loops from several threads take turns.
 */
public final class WorkerPool implements AutoCloseable {
  /** About ten microseconds: long enough to catch the next loop, short enough to waste nothing. */
  private static final int SPINS = 300;

  /** A part of a loop. */
  @FunctionalInterface
  public interface Chunk {
    /** Does items from (included) to to (excluded). */
    void run(long from, long to);
  }

  /** A part of a loop that needs arrays to work in. */
  @FunctionalInterface
  interface ScratchChunk {
    /**
     * Does items from (included) to to (excluded) with the arrays of the thread that it runs on.
     */
    void run(long from, long to, Scratch scratch);
  }

  /** Arrays of one thread that are reused from loop to loop. */
  static final class Scratch {
    private float[][] arrays = new float[0][];

    /** An array of at least so many elements, the same at each call; holds anything. */
    float[] floats(int number, int atLeast) {
      if (number >= arrays.length) {
        arrays = Arrays.copyOf(arrays, number + 1);
      }
      if (arrays[number] == null || arrays[number].length < atLeast) {
        arrays[number] = new float[atLeast];
      }
      return arrays[number];
    }
  }

  private final ReentrantLock turn = new ReentrantLock();
  private final Scratch callerScratch = new Scratch();
  private final Worker[] workers;
  private volatile Loop current;
  private volatile boolean closed;

  /**
   * Starts threads - 1 daemon threads.
   *
   * @param threads how many threads work on a loop, the caller included; at least 1
   */
  public WorkerPool(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("a pool needs a thread, not " + threads);
    }
    workers = new Worker[threads - 1];
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Worker(i + 1);
      workers[i].start();
    }
  }

  /** Number of threads that work on a loop, the caller included. */
  public int threads() {
    return workers.length + 1;
  }

  /**
   * Runs the loop and returns when all of it is done.
   *
   * @param items number of items
   * @param chunkItems items in a chunk (the last one may be shorter)
   * @throws RuntimeException the first one that a chunk has thrown; the other chunks still run
   */
  public void run(long items, long chunkItems, Chunk chunk) {
    run(items, chunkItems, (from, to, scratch) -> chunk.run(from, to));
  }

  /** The same with arrays to work in. */
  void run(long items, long chunkItems, ScratchChunk chunk) {
    if (items < 0 || chunkItems < 1) {
      throw new IllegalArgumentException(items + " items in chunks of " + chunkItems);
    }
    if (closed || turn.isHeldByCurrentThread()) {
      throw new IllegalStateException(closed ? "the pool is closed" : "a loop inside of a loop");
    }
    Loop loop = new Loop(items, chunkItems, chunk);
    turn.lock();
    try {
      if (items > chunkItems && workers.length > 0) {
        current = loop;
        for (Worker worker : workers) {
          worker.wake();
        }
      }
      loop.work(callerScratch);
      loop.await();
      current = null;
    } finally {
      turn.unlock();
    }
    loop.rethrow();
  }

  /** Ends the threads and waits for them. */
  @Override
  public void close() {
    closed = true;
    for (Worker worker : workers) {
      LockSupport.unpark(worker);
    }
    boolean interrupted = false;
    for (Worker worker : workers) {
      while (worker.isAlive()) {
        try {
          worker.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * One call of {@link #run}. Chunks are claimed one by one, so a delayed thread holds up little.
   */
  private static final class Loop {
    private final long items;
    private final long chunkItems;
    private final ScratchChunk chunk;
    private final Thread caller = Thread.currentThread();
    private final AtomicLong next = new AtomicLong();
    private final AtomicLong unfinished;
    private final AtomicReference<Throwable> failure = new AtomicReference<>();

    Loop(long items, long chunkItems, ScratchChunk chunk) {
      this.items = items;
      this.chunkItems = chunkItems;
      this.chunk = chunk;
      unfinished = new AtomicLong(Math.ceilDiv(items, chunkItems));
    }

    void work(Scratch scratch) {
      for (long from = next.getAndAdd(chunkItems);
          from < items;
          from = next.getAndAdd(chunkItems)) {
        try {
          chunk.run(from, Math.min(items, from + chunkItems), scratch);
        } catch (Throwable e) {
          failure.compareAndSet(null, e);
        }
        if (unfinished.decrementAndGet() == 0) {
          LockSupport.unpark(caller);
        }
      }
    }

    void await() {
      int spins = 0;
      while (unfinished.get() > 0) {
        if (spins++ < SPINS) {
          Thread.onSpinWait();
        } else {
          LockSupport.park(this);
        }
      }
    }

    void rethrow() {
      Throwable thrown = failure.get();
      if (thrown instanceof Error error) {
        throw error;
      }
      if (thrown instanceof RuntimeException exception) {
        throw exception;
      }
    }
  }

  private final class Worker extends Thread {
    private final Scratch scratch = new Scratch();
    private volatile boolean parked;

    Worker(int number) {
      super("kernel-worker-" + number);
      setDaemon(true);
    }

    void wake() {
      if (parked) {
        LockSupport.unpark(this);
      }
    }

    @Override
    public void run() {
      Loop done = null;
      while (!closed) {
        Loop loop = next(done);
        if (loop != null) {
          loop.work(scratch);
          done = loop;
        }
      }
    }

    /** A loop other than the one just done, or null if the thread was only woken. */
    private Loop next(Loop done) {
      for (int i = 0; i < SPINS; i++) {
        Loop loop = current;
        if (loop != null && loop != done) {
          return loop;
        }
        Thread.onSpinWait();
      }
      parked = true;
      // Read again: whoever set it before seeing parked has not unparked this thread.
      Loop loop = current;
      if ((loop == null || loop == done) && !closed) {
        LockSupport.park(WorkerPool.this);
        loop = current;
      }
      parked = false;
      return loop == done ? null : loop;
    }
  }
}
