package org.pretrain4j.data.bench;

import java.util.concurrent.locks.LockSupport;

/** Collects the heap over and over in a thread, and notes the most that a collection left. */
final class LiveHeap implements AutoCloseable {
  private static final long PAUSE_NANOS = 200_000_000L;

  private final Thread sampler;
  private volatile boolean closed;
  private volatile long most;

  LiveHeap() {
    sampler = Thread.ofPlatform().name("live-heap").daemon().start(this::sample);
  }

  private void sample() {
    Runtime runtime = Runtime.getRuntime();
    while (!closed) {
      System.gc();
      most = Math.max(most, runtime.totalMemory() - runtime.freeMemory());
      LockSupport.parkNanos(PAUSE_NANOS);
    }
  }

  long mostBytes() {
    return most;
  }

  @Override
  public void close() {
    closed = true;
    LockSupport.unpark(sampler);
    try {
      sampler.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
