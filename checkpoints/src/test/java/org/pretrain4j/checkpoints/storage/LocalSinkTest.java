package org.pretrain4j.checkpoints.storage;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class LocalSinkTest {
  private static final long BYTES_BETWEEN_SYNCS = 1000;

  @TempDir Path folder;

  private Channel channel(boolean backgroundFails) throws IOException {
    return new Channel(
        FileChannel.open(
            folder.resolve("shard"), StandardOpenOption.CREATE, StandardOpenOption.WRITE),
        backgroundFails);
  }

  @Test
  void aSyncThatFailsInTheBackgroundFailsTheFile() throws Exception {
    Channel channel = channel(true);
    ChecksummedOutput out = new ChecksummedOutput(new LocalSink(channel, BYTES_BETWEEN_SYNCS), 512);
    byte[] content = new byte[1024];
    out.write(content, 0, content.length);
    channel.backgroundBegun.await();
    channel.mayGoOn.countDown();
    IOException failed = assertThrows(IOException.class, out::finish);
    assertEquals("Input/output error", failed.getMessage());
    assertFalse(channel.synced.contains("all"), channel.synced::toString);
    out.close();
    assertFalse(channel.isOpen());
  }

  @Test
  void theDiskBeginsWhileMoreIsComing() throws Exception {
    Channel channel = channel(false);
    byte[] content = new byte[5000];
    new Random(3).nextBytes(content);
    try (ChecksummedOutput out =
        new ChecksummedOutput(new LocalSink(channel, BYTES_BETWEEN_SYNCS), 512)) {
      out.write(content, 0, 2000);
      channel.backgroundBegun.await(); // Not done yet, and the next write does not wait for it.
      out.write(content, 2000, 3000);
      channel.mayGoOn.countDown();
      BlockChecksums checksums = out.finish();
      assertEquals(5000, checksums.bytes());
    }
    assertArrayEquals(content, Files.readAllBytes(folder.resolve("shard")));
    assertTrue(channel.synced.size() >= 2, channel.synced::toString);
    assertEquals("all", channel.synced.getLast());
  }

  /** Holds up the syncs in the background, and lets them fail. */
  private static final class Channel extends FileChannel {
    final CountDownLatch backgroundBegun = new CountDownLatch(1);
    final CountDownLatch mayGoOn = new CountDownLatch(1);
    final List<String> synced = new CopyOnWriteArrayList<>();
    private final FileChannel file;
    private final boolean backgroundFails;

    Channel(FileChannel file, boolean backgroundFails) {
      this.file = file;
      this.backgroundFails = backgroundFails;
    }

    @Override
    public void force(boolean metaData) throws IOException {
      if (!metaData) {
        backgroundBegun.countDown();
        try {
          mayGoOn.await();
        } catch (InterruptedException e) {
          throw new IOException(e);
        }
        if (backgroundFails) {
          throw new IOException("Input/output error");
        }
      }
      file.force(metaData);
      synced.add(metaData ? "all" : "data");
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
      return file.write(from);
    }

    @Override
    protected void implCloseChannel() throws IOException {
      file.close();
    }

    @Override
    public int read(ByteBuffer into) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long read(ByteBuffer[] into, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long write(ByteBuffer[] from, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long position() {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileChannel position(long to) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long size() {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileChannel truncate(long size) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long transferTo(long position, long count, WritableByteChannel target) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long transferFrom(ReadableByteChannel from, long position, long count) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int read(ByteBuffer into, long position) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int write(ByteBuffer from, long position) {
      throw new UnsupportedOperationException();
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileLock lock(long position, long size, boolean shared) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileLock tryLock(long position, long size, boolean shared) {
      throw new UnsupportedOperationException();
    }
  }
}
