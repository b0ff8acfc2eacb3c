package org.pretrain4j.data.shards;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.FetchAhead;
import org.pretrain4j.data.storage.Pieces;
import org.pretrain4j.data.storage.Storage;

/**
 * A folder of shards with its manifest, opened for reading. Shards are opened when they are first
 * read. Thread-safe; holds no file open.
 */
public final class ShardedDataset {
  // An open shard is its block index: some 25 bytes for each block of a quarter million tokens.
  private static final int OPEN_SHARDS = 256;

  // Without a local cache: what is fetched ahead at the border of two shards.
  private static final int HELD_AHEAD = 2 * Shard.PREFETCH;

  private final Storage storage;
  private final Path folder;
  private final Manifest manifest;
  private final BlockCache cache;
  private final ReadPolicy policy;
  private final Pieces pieces;
  private final Map<Integer, Shard> open =
      new LinkedHashMap<>(64, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, Shard> eldest) {
          return size() > OPEN_SHARDS;
        }
      };

  private ShardedDataset(
      Storage storage, Path folder, Manifest manifest, BlockCache cache, ReadPolicy policy) {
    this.storage = storage;
    this.folder = folder;
    this.manifest = manifest;
    this.cache = cache;
    this.policy = policy;
    this.pieces =
        policy.localCache().<Pieces>map(kept -> kept).orElseGet(() -> new FetchAhead(HELD_AHEAD));
  }

  /** Opens a dataset that stops the run when a shard is damaged. */
  public static ShardedDataset open(
      Storage storage, Path folder, TokenizerIdentity tokenizer, BlockCache cache) {
    return open(storage, folder, tokenizer, cache, ReadPolicy.stop());
  }

  /**
   * Opens a dataset and checks that all its files are there at their full sizes; their contents are
   * verified block by block as they are read.
   *
   * @param tokenizer that the run uses
   * @param policy for damage; if it substitutes, a missing file or a wrong size is no error here
   * @throws ShardException naming the file, if manifest or shards are missing, damaged or made with
   *     another tokenizer
   */
  public static ShardedDataset open(
      Storage storage,
      Path folder,
      TokenizerIdentity tokenizer,
      BlockCache cache,
      ReadPolicy policy) {
    ShardedDataset dataset =
        new ShardedDataset(storage, folder, readManifest(storage, folder), cache, policy);
    dataset.checkTokenizer(tokenizer);
    if (policy.quarantine().isEmpty()) {
      dataset.checkFiles();
    }
    return dataset;
  }

  /** Opens a manifest without looking at its shards or asking for a tokenizer. */
  public static ShardedDataset openManifest(Storage storage, Path folder, BlockCache cache) {
    return new ShardedDataset(
        storage, folder, readManifest(storage, folder), cache, ReadPolicy.stop());
  }

  private static Manifest readManifest(Storage storage, Path folder) {
    return ManifestFile.read(storage, new Path(folder, Manifest.FILE));
  }

  private void checkTokenizer(TokenizerIdentity tokenizer) {
    String file = new Path(folder, Manifest.FILE).toUri().getPath();
    TokenizerIdentity mine = manifest.tokenizer();
    if (!mine.fingerprint().equals(tokenizer.fingerprint())) {
      throw new ShardException(
          file,
          "made with another tokenizer ("
              + mine.fingerprint()
              + ") than the run's ("
              + tokenizer.fingerprint()
              + "); tokenize the text again or name the right tokenizer");
    }
    if (!mine.equals(tokenizer)) {
      throw new ShardException(
          file,
          "vocabulary of "
              + mine.vocabSize()
              + " with end of document "
              + mine.endOfDocument()
              + ", but the run's tokenizer has "
              + tokenizer.vocabSize()
              + " and "
              + tokenizer.endOfDocument());
    }
  }

  private void checkFiles() {
    Map<String, Long> sizes = new HashMap<>();
    try {
      for (FileStatus file : storage.list(folder)) {
        sizes.put(file.getPath().getName(), file.getLen());
      }
    } catch (IOException e) {
      throw new ShardException(folder.toUri().getPath(), "cannot be read: " + e.getMessage(), e);
    }
    for (ShardEntry shard : manifest.shards()) {
      String name = path(shard).toUri().getPath();
      Long bytes = sizes.get(shard.name());
      if (bytes == null) {
        throw new ShardException(name, "is missing, but the manifest lists it; restore the file");
      }
      Shard.checkSize(name, bytes, shard);
    }
  }

  public Manifest manifest() {
    return manifest;
  }

  public Path folder() {
    return folder;
  }

  private Path path(ShardEntry shard) {
    return new Path(folder, shard.name());
  }

  /**
   * The dataset as sequences.
   *
   * @param name of the dataset, part of the seed of its order
   * @throws UserException if there is not one whole sequence
   */
  public SequenceWindows windows(String name, int sequenceLength, long seed) {
    return new SequenceWindows(this, name, sequenceLength, seed);
  }

  /** The dataset's sequences in the order of its shards, each once. */
  public SequenceCursor cursor(int sequenceLength) {
    return new SequenceCursor(this, sequenceLength);
  }

  /**
   * The dataset's documents in the order of its shards, each once.
   *
   * @throws UserException if the dataset is shuffled: its rows are parts of documents
   */
  public DocumentCursor documents() {
    if (manifest.sequenceLength() != 0) {
      throw new UserException(
          folder.toUri().getPath()
              + ": is shuffled, so its documents are cut into sequences of "
              + manifest.sequenceLength()
              + " tokens; name the dataset that it was made from");
    }
    return new DocumentCursor(this);
  }

  /** The policy for damaged and unreachable shards. */
  ReadPolicy policy() {
    return policy;
  }

  /**
   * Copies tokens [from, from + length) of a shard and notes where documents begin.
   *
   * @throws ShardException if they are damaged, missing, unreachable or in quarantine
   */
  Sequence read(int shardNumber, long from, int length) {
    Shard shard = shard(shardNumber);
    BlockIndex index = shard.index();
    int[] tokens = new int[length];
    int[] starts = new int[8];
    int startCount = 0;
    int block = index.find(from);
    int copied = 0;
    while (copied < length) {
      Block content = block(shardNumber, shard, block);
      int at = (int) (from + copied - index.firstToken(block));
      int count = Math.min(length - copied, content.tokens().length - at);
      System.arraycopy(content.tokens(), at, tokens, copied, count);
      int[] ends = content.documentEnds();
      int firstEnd = Arrays.binarySearch(ends, at + 1);
      for (int i = firstEnd >= 0 ? firstEnd : -firstEnd - 1; i < ends.length; i++) {
        int start = ends[i] - at + copied;
        if (ends[i] > at + count || start == length) {
          break;
        }
        if (startCount == starts.length) {
          starts = Arrays.copyOf(starts, 2 * startCount);
        }
        starts[startCount++] = start;
      }
      copied += count;
      block++;
    }
    return new Sequence(tokens, Arrays.copyOf(starts, startCount));
  }

  private Block block(int shardNumber, Shard shard, int block) {
    refuseQuarantined(shard.name(), block);
    BlockCache.Key key = new BlockCache.Key(new ShardKey(this, shardNumber), block);
    return cache.get(key, () -> attempt(shard.name(), block, () -> shard.read(block)));
  }

  private record ShardKey(ShardedDataset dataset, int shard) {}

  private Shard shard(int number) {
    synchronized (open) {
      Shard shard = open.get(number);
      if (shard != null) {
        return shard;
      }
    }
    ShardEntry entry = manifest.shards().get(number);
    Path path = path(entry);
    String name = path.toUri().getPath();
    refuseQuarantined(name, Quarantine.WHOLE_SHARD);
    Shard shard =
        attempt(
            name,
            Quarantine.WHOLE_SHARD,
            () -> Shard.open(storage, path, entry, manifest.tokenizer(), Optional.of(pieces)));
    synchronized (open) {
      open.put(number, shard);
    }
    return shard;
  }

  private void refuseQuarantined(String file, int block) {
    if (policy.quarantine().isPresent() && policy.quarantine().get().contains(file, block)) {
      throw new ShardException(file, "is in quarantine");
    }
  }

  /** Reads as often as the policy allows, and sends what stays damaged to quarantine. */
  private <T> T attempt(String file, int block, Supplier<T> read) {
    ShardException failure = null;
    for (int attempt = 1; attempt <= policy.attempts(); attempt++) {
      policy.pause(attempt);
      try {
        return read.get();
      } catch (ShardException e) {
        failure = e;
      }
    }
    if (!failure.isUnreachable() && policy.quarantine().isPresent()) {
      policy.quarantine().get().add(file, block, failure.getMessage());
    }
    throw failure;
  }

  /**
   * Reads and verifies everything.
   *
   * @throws ShardException naming the first damaged file
   */
  public void verify() {
    for (int i = 0; i < manifest.shards().size(); i++) {
      Shard shard = shard(i);
      for (int block = 0; block < shard.index().size(); block++) {
        shard.read(block);
      }
    }
  }
}
