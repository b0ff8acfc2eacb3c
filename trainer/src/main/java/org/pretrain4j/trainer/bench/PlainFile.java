package org.pretrain4j.trainer.bench;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;

/** Bytes written and read without checksums, staging or anything else: what a disk can do. */
final class PlainFile {
  private static final long PIECE_BYTES = 16L << 20;

  private PlainFile() {}

  /** Writes one file from its beginning to its end and syncs it; returns the seconds. */
  static double write(Path file, Collection<MemorySegment> content) throws IOException {
    long start = System.nanoTime();
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      for (MemorySegment values : content) {
        for (ByteBuffer piece : pieces(values)) {
          while (piece.hasRemaining()) {
            channel.write(piece);
          }
        }
      }
      channel.force(true);
    }
    return (System.nanoTime() - start) * 1e-9;
  }

  /** Reads a file of the size of the memory that is given; returns the seconds. */
  static double read(Path file, Collection<MemorySegment> into) throws IOException {
    long start = System.nanoTime();
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      for (MemorySegment values : into) {
        for (ByteBuffer piece : pieces(values)) {
          while (piece.hasRemaining()) {
            if (channel.read(piece) < 0) {
              throw new IOException(file + " is too short");
            }
          }
        }
      }
    }
    return (System.nanoTime() - start) * 1e-9;
  }

  private static List<ByteBuffer> pieces(MemorySegment values) {
    return Stream.iterate(0L, at -> at < values.byteSize(), at -> at + PIECE_BYTES)
        .map(at -> values.asSlice(at, Math.min(PIECE_BYTES, values.byteSize() - at)).asByteBuffer())
        .toList();
  }

  /**
   * Makes the operating system forget the files of a folder, so that the next read comes from the
   * disk.
   *
   * @return false where that can't be done: it takes GNU's dd
   */
  static boolean forget(Path folder) throws IOException, InterruptedException {
    List<Path> files;
    try (Stream<Path> found = Files.walk(folder)) {
      files = found.filter(Files::isRegularFile).toList();
    }
    for (Path file : files) {
      try {
        Process dd =
            new ProcessBuilder("dd", "if=" + file, "iflag=nocache", "count=0")
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        if (dd.waitFor() != 0) {
          return false;
        }
      } catch (IOException missing) {
        return false;
      }
    }
    return true;
  }
}
