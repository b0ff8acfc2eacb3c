package org.pretrain4j.data.shuffle;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.shards.Sequence;
import org.pretrain4j.data.storage.Storage;

/**
 * The temporary files of a shuffle: the sequences of the source, sorted by bucket and within a
 * bucket in the order of the source.
 *
 * <p>A run of level 0 is a stretch of the source that was sorted in memory. So many runs of a level
 * as may be open at once are merged into one of the next level, until no more are left than may be
 * open. Each level reads and writes every byte once and in order; there is one for a few thousand
 * billion tokens. Runs that were merged are deleted, so that the files never take much more room
 * than the tokens.
 */
final class Runs {
  /** Sorts a stretch of the source in memory. */
  @FunctionalInterface
  interface Source {
    void write(long run, RunWriter writer) throws IOException;
  }

  private final Storage storage;
  private final Path folder;
  private final ShufflePlan plan;
  private final int fanIn;
  private final int levels;
  private final Set<String> present = new HashSet<>();

  /**
   * @param fanIn runs that are open at once at most, 2 or more
   */
  Runs(Storage storage, Path folder, ShufflePlan plan, int fanIn) throws IOException {
    this.storage = storage;
    this.folder = folder;
    this.plan = plan;
    this.fanIn = fanIn;
    int merges = 0;
    while (count(merges) > fanIn) {
      merges++;
    }
    this.levels = merges;
    storage.fileSystem(folder).mkdirs(folder);
    for (FileStatus file : storage.list(folder)) {
      present.add(file.getPath().getName());
    }
  }

  /** How often each sequence is written to a run. */
  int passes() {
    return levels + 1;
  }

  /** Sequences that were written by earlier starts of the job, once for each pass. */
  long moved() {
    long moved = 0;
    for (int level = 0; level < passes(); level++) {
      long covered = plan.perShard();
      for (int i = 0; i < level; i++) {
        covered = Math.min(plan.sequences(), covered * fanIn);
      }
      for (long number = 0; number < count(level); number++) {
        if (present.contains(name(level, number))) {
          moved += (level + 1) * Math.min(covered, plan.sequences() - number * covered);
        }
      }
    }
    return moved;
  }

  private static String name(int level, long number) {
    return String.format(Locale.ROOT, "run-%d-%09d", level, number);
  }

  /** Runs of a level. There are as many of level 0 as there are buckets. */
  private long count(int level) {
    long count = plan.buckets();
    for (int i = 0; i < level; i++) {
      count = (count + fanIn - 1) / fanIn;
    }
    return count;
  }

  /**
   * Writes what is missing of the last level.
   *
   * @return its runs in the order of the source, no more than may be open at once
   */
  List<Path> write(Source source, ShuffleProgress progress) throws IOException {
    List<Path> last = new ArrayList<>();
    for (long number = 0; number < count(levels); number++) {
      last.add(write(levels, number, source, progress));
    }
    return last;
  }

  private Path write(int level, long number, Source source, ShuffleProgress progress)
      throws IOException {
    String name = name(level, number);
    Path path = new Path(folder, name);
    long firstPart = number * fanIn;
    long endOfParts = level == 0 ? 0 : Math.min(firstPart + fanIn, count(level - 1));
    boolean done = present.contains(name);
    List<Path> parts = new ArrayList<>();
    for (long part = firstPart; part < endOfParts; part++) {
      String partName = name(level - 1, part);
      if (!done) {
        parts.add(write(level - 1, part, source, progress));
      } else if (present.remove(partName)) {
        // Of a job that was killed before it had deleted them all.
        storage.delete(new Path(folder, partName));
      }
    }
    if (!done) {
      try (RunWriter writer = new RunWriter(storage, path, plan.buckets())) {
        if (level == 0) {
          source.write(number, writer);
        } else {
          merge(parts, writer, progress);
        }
        writer.finish();
      }
      present.add(name);
      for (Path part : parts) {
        storage.delete(part);
        present.remove(part.getName());
      }
    }
    return path;
  }

  private void merge(List<Path> parts, RunWriter writer, ShuffleProgress progress)
      throws IOException {
    try (OpenRuns runs = open(parts, 0)) {
      for (int bucket = 0; bucket < plan.buckets(); bucket++) {
        int to = bucket;
        runs.next(
            sequence -> {
              writer.add(to, sequence);
              progress.moved();
            });
      }
    }
  }

  /** Opens runs to read their buckets from one on. */
  OpenRuns open(List<Path> runs, int firstBucket) throws IOException {
    int sequenceBytes = SequenceCodec.bytes(plan.options().sequenceLength());
    OpenRuns open = new OpenRuns();
    try {
      for (Path run : runs) {
        open.readers.add(new RunReader(storage, run, sequenceBytes, plan.buckets(), firstBucket));
      }
      return open;
    } catch (IOException | RuntimeException e) {
      open.close();
      throw e;
    }
  }

  /** Runs that are read side by side. */
  static final class OpenRuns implements AutoCloseable {
    private final List<RunReader> readers = new ArrayList<>();

    private OpenRuns() {}

    /** The sequences of the next bucket, in the order of the source. */
    List<Sequence> next() throws IOException {
      List<Sequence> sequences = new ArrayList<>();
      next(bytes -> sequences.add(SequenceCodec.decode(bytes)));
      return sequences;
    }

    private void next(RunReader.Sink sink) throws IOException {
      for (RunReader reader : readers) {
        reader.next(sink);
      }
    }

    @Override
    public void close() throws IOException {
      IOException failure = null;
      for (RunReader reader : readers) {
        try {
          reader.close();
        } catch (IOException e) {
          failure = e;
        }
      }
      if (failure != null) {
        throw failure;
      }
    }
  }
}
