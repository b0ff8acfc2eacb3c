package org.pretrain4j.checkpoints.storage;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * A file of the local disk. Memory outside of the heap is written as it is, where Hadoop's streams
 * would copy it twice; and the disk begins to write while more is coming, not at the end.
 */
final class LocalSink implements ByteSink {
  private static final long BYTES_BETWEEN_SYNCS = 128L << 20;

  private final FileChannel channel;
  private final long bytesBetweenSyncs;
  private long unsynced;
  private FutureTask<Void> syncing;

  LocalSink(FileChannel channel) {
    this(channel, BYTES_BETWEEN_SYNCS);
  }

  /**
   * @param bytesBetweenSyncs after so many bytes the disk is told to begin
   */
  LocalSink(FileChannel channel, long bytesBetweenSyncs) {
    this.channel = channel;
    this.bytesBetweenSyncs = bytesBetweenSyncs;
  }

  @Override
  public void write(ByteBuffer bytes) throws IOException {
    unsynced += bytes.remaining();
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
    if (unsynced >= bytesBetweenSyncs && (syncing == null || syncing.isDone())) {
      awaitSync();
      unsynced = 0;
      syncing =
          new FutureTask<>(
              () -> {
                channel.force(false);
                return null;
              });
      Thread.ofPlatform().name("checkpoint-sync").daemon().start(syncing);
    }
  }

  private void awaitSync() throws IOException {
    if (syncing == null) {
      return;
    }
    FutureTask<Void> awaited = syncing;
    syncing = null;
    try {
      awaited.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw (IOException) new InterruptedIOException("interrupted while writing").initCause(e);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof IOException cause ? cause : new IOException(e.getCause());
    }
  }

  @Override
  public void sync() throws IOException {
    awaitSync();
    channel.force(true);
  }

  @Override
  public void close() throws IOException {
    try (channel) {
      awaitSync();
    }
  }
}
