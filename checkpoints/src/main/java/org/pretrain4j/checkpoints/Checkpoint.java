package org.pretrain4j.checkpoints;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ClosedByInterruptException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.storage.BlockChecksums;
import org.pretrain4j.checkpoints.storage.BlockReader;
import org.pretrain4j.checkpoints.storage.ChecksumException;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.storage.ParallelTasks;

/** A published checkpoint, open for reading by any number of ranks. Thread-safe. */
public final class Checkpoint {
  // Pieces of this size are read in parallel.
  private static final long PIECE_BYTES = 16L << 20;

  private final DurableFileSystem files;
  private final Path folder;
  private final Manifest manifest;
  private final Map<Integer, ShardSummary> summaries = new ConcurrentHashMap<>();

  private Checkpoint(DurableFileSystem files, Path folder, Manifest manifest) {
    this.files = files;
    this.folder = folder;
    this.manifest = manifest;
  }

  /** Reads and checks the manifest, nothing more. */
  static Checkpoint open(DurableFileSystem files, Path folder) {
    try {
      Path path = new Path(folder, Manifest.FILE_NAME);
      return new Checkpoint(files, folder, SealedJson.read(files, path, Manifest.class).value());
    } catch (IOException e) {
      throw damaged(folder, Manifest.FILE_NAME, e);
    }
  }

  /** Number of steps done, which is also the 0-based step that comes next. */
  public long step() {
    return manifest.step();
  }

  /** When it was published, to the second. */
  public Instant savedAt() {
    return Instant.ofEpochSecond(manifest.savedAtSeconds());
  }

  /** Everything besides the tensors. */
  public CheckpointState state() {
    return manifest.state();
  }

  /** The flat space whose values are stored. */
  public FlatLayout layout() {
    return manifest.layout();
  }

  /** The kinds of values that are stored for each element. */
  public List<String> kinds() {
    return manifest.kinds();
  }

  /** Number of ranks that wrote it; any other number can read it. */
  public int worldSize() {
    return manifest.worldSize();
  }

  /** The folder that it lies in. */
  public Path folder() {
    return folder;
  }

  /** Size of all tensor files in bytes. */
  public long bytes() {
    return manifest.shards().stream().mapToLong(Manifest.Shard::bytes).sum();
  }

  /**
   * Reads the fp32 values of a range, little-endian, whoever wrote them; only the blocks that hold
   * them are read, and each is verified.
   *
   * @param into exactly 4 bytes for each element; may be larger than 2 GiB
   * @throws DamagedCheckpointException if a block that is needed is damaged or missing
   */
  public void read(String kind, FlatRange range, MemorySegment into) {
    int kindIndex = manifest.kinds().indexOf(kind);
    if (kindIndex < 0 || range.end() > layout().elements()) {
      throw new IllegalArgumentException(
          "%s %s is not in this checkpoint of %s, %d elements each"
              .formatted(kind, range, manifest.kinds(), layout().elements()));
    }
    if (into.byteSize() != range.length() * Float.BYTES) {
      throw new IllegalArgumentException(
          "%d bytes can't take %d elements".formatted(into.byteSize(), range.length()));
    }
    List<ParallelTasks.Task> tasks = new ArrayList<>();
    for (Manifest.Shard shard : manifest.shards()) {
      long elementsBefore = kindIndex * shard.elements();
      for (FlatRange stored : shard.ranges()) {
        long from = Math.max(range.start(), stored.start());
        long to = Math.min(range.end(), stored.end());
        if (from < to) {
          long position =
              shard.dataStart() + Float.BYTES * (elementsBefore + from - stored.start());
          MemorySegment part =
              into.asSlice((from - range.start()) * Float.BYTES, (to - from) * Float.BYTES);
          addReads(tasks, shard, position, part);
        }
        elementsBefore += stored.length();
      }
    }
    run(tasks);
  }

  private void addReads(
      List<ParallelTasks.Task> tasks, Manifest.Shard shard, long position, MemorySegment into) {
    long done = 0;
    while (done < into.byteSize()) {
      // Pieces end at block borders, so that no block is read twice.
      long end =
          Math.min(
              into.byteSize(),
              (position + done) / PIECE_BYTES * PIECE_BYTES + PIECE_BYTES - position);
      MemorySegment piece = into.asSlice(done, end - done);
      long start = position + done;
      tasks.add(() -> onShard(shard, reader -> reader.read(start, piece)));
      done = end;
    }
  }

  /**
   * Reads all bytes and verifies their checksums.
   *
   * @throws DamagedCheckpointException with the file and what is wrong with it
   */
  public void verify() {
    verifySizes();
    List<ParallelTasks.Task> tasks = new ArrayList<>();
    for (Manifest.Shard shard : manifest.shards()) {
      BlockChecksums checksums = summary(shard).checksums();
      int blocks = checksums.blocks().length;
      int step = (int) Math.max(1, PIECE_BYTES / checksums.blockBytes());
      for (int block = 0; block < blocks; block += step) {
        int first = block;
        int end = Math.min(blocks, block + step);
        tasks.add(() -> onShard(shard, reader -> reader.verify(first, end)));
      }
    }
    run(tasks);
  }

  /**
   * Verifies that all files are there and have their sizes, without reading their content.
   *
   * @throws DamagedCheckpointException with the file and what is wrong with it
   */
  public void verifySizes() {
    List<ParallelTasks.Task> tasks = new ArrayList<>();
    for (Manifest.Shard shard : manifest.shards()) {
      tasks.add(
          () -> {
            summary(shard);
            long length;
            try {
              length = files.length(new Path(folder, shard.file()));
            } catch (IOException e) {
              throw damaged(folder, shard.file(), e);
            }
            if (length != shard.bytes()) {
              throw new DamagedCheckpointException(
                  "%s is damaged: %s has %d bytes instead of %d"
                      .formatted(folder, shard.file(), length, shard.bytes()));
            }
          });
    }
    run(tasks);
  }

  @FunctionalInterface
  private interface ShardAction {
    void accept(BlockReader reader) throws IOException;
  }

  private void onShard(Manifest.Shard shard, ShardAction action) {
    try {
      Path path = new Path(folder, shard.file());
      action.accept(new BlockReader(files, path, summary(shard).checksums()));
    } catch (IOException e) {
      throw damaged(folder, shard.file(), e);
    }
  }

  Manifest manifest() {
    return manifest;
  }

  DurableFileSystem files() {
    return files;
  }

  ShardSummary summary(Manifest.Shard shard) {
    ShardSummary known = summaries.get(shard.rank());
    if (known != null) {
      return known;
    }
    try {
      SealedJson.Sealed<ShardSummary> read =
          SealedJson.read(files, new Path(folder, shard.checksumsFile()), ShardSummary.class);
      if (!read.crc32c().equals(shard.checksumsCrc32c()) || read.value().bytes() != shard.bytes()) {
        throw new ChecksumException(shard.checksumsFile() + " is that of another checkpoint");
      }
      summaries.put(shard.rank(), read.value());
      return read.value();
    } catch (IOException e) {
      throw damaged(folder, shard.checksumsFile(), e);
    }
  }

  private void run(List<ParallelTasks.Task> tasks) {
    try {
      if (tasks.size() == 1) {
        tasks.getFirst().run();
      } else {
        ParallelTasks.run(tasks);
      }
    } catch (InterruptedIOException e) {
      throw new UncheckedIOException(e);
    } catch (IOException e) {
      throw new DamagedCheckpointException(folder + " can't be read: " + e.getMessage(), e);
    }
  }

  private static DamagedCheckpointException damaged(Path folder, String file, IOException cause) {
    if (cause instanceof InterruptedIOException || cause instanceof ClosedByInterruptException) {
      throw new UncheckedIOException(cause); // Says nothing about the checkpoint.
    }
    return new DamagedCheckpointException(
        cause instanceof FileNotFoundException
            ? "%s is damaged: %s is missing".formatted(folder, file)
            : "%s is damaged: %s".formatted(folder, cause.getMessage()),
        cause);
  }
}
