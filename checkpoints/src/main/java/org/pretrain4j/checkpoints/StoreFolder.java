package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.function.LongPredicate;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.StorageException;

/**
 * A folder of checkpoints by the names in it: which are published, replaced, staged or on their way
 * out. All of them come and go by renames.
 */
final class StoreFolder {
  private static final Logger LOG = LogManager.getLogger(StoreFolder.class);

  private static final Pattern PUBLISHED = Pattern.compile("step-(\\d{10,})");
  private static final Pattern REPLACED = Pattern.compile("\\.replaced-step-(\\d{10,})-.*");
  private static final Pattern STAGING = Pattern.compile("\\.staging-step-(\\d{10,})-(.*)");
  private static final String DELETING = ".deleting-";

  private final DurableFileSystem files;
  private final Path root;

  StoreFolder(DurableFileSystem files, Path root) {
    this.files = files;
    this.root = files.qualify(root);
  }

  DurableFileSystem files() {
    return files;
  }

  Path root() {
    return root;
  }

  /** Where the checkpoint of a step appears. */
  Path published(long step) {
    return new Path(root, name(step));
  }

  /** Creates the hidden folder of a save; what other attempts left is deleted. */
  Path stage(long step, String attempt) throws IOException {
    Path folder = new Path(root, ".staging-" + name(step) + "-" + attempt);
    files.createFolder(root);
    clean(staging -> !staging.group(2).equals(attempt));
    files.createFolder(folder);
    return folder;
  }

  /** A checkpoint of the step stays readable under another name until the new one is in place. */
  void setAside(long step) throws IOException {
    Path published = published(step);
    if (files.exists(published)) {
      files.rename(published, new Path(root, ".replaced-" + name(step) + "-" + UUID.randomUUID()));
    }
  }

  /**
   * Makes a staged folder the checkpoint of its step.
   *
   * @param isLeftover which other steps that the attempt staged are given up
   */
  void publish(long step, String attempt, Path staged, LongPredicate isLeftover)
      throws IOException {
    files.rename(staged, published(step));
    clean(
        staging ->
            staging.group(2).equals(attempt) && isLeftover.test(Long.parseLong(staging.group(1))));
  }

  /**
   * Whatever may be a checkpoint.
   *
   * @param replaced whether it was set aside
   */
  record Candidate(long step, boolean replaced, Path folder) {}

  /** All of them, newest first, a replaced one after its successor. */
  List<Candidate> candidates() {
    List<Candidate> candidates = new ArrayList<>();
    try {
      for (FileStatus entry : files.list(root)) {
        String name = entry.getPath().getName();
        Matcher published = PUBLISHED.matcher(name);
        Matcher replaced = REPLACED.matcher(name);
        if (published.matches()) {
          candidates.add(new Candidate(Long.parseLong(published.group(1)), false, entry.getPath()));
        } else if (replaced.matches()) {
          candidates.add(new Candidate(Long.parseLong(replaced.group(1)), true, entry.getPath()));
        }
      }
    } catch (IOException e) {
      throw new StorageException("%s can't be listed: %s".formatted(root, e.getMessage()), e);
    }
    candidates.sort(
        Comparator.comparingLong(Candidate::step).reversed().thenComparing(Candidate::replaced));
    return candidates;
  }

  /** Renames first, so that a crash in the middle leaves no half checkpoint behind. */
  void delete(Candidate candidate) {
    try {
      Path hidden = new Path(root, DELETING + name(candidate.step()) + "-" + UUID.randomUUID());
      files.rename(candidate.folder(), hidden);
      files.delete(hidden);
    } catch (IOException e) {
      throw new CheckpointWriteException(candidate.folder() + " can't be deleted", e);
    }
  }

  /** Deletes what crashed saves left, as far as that works. */
  private void clean(Predicate<Matcher> isLeftover) throws IOException {
    for (FileStatus entry : files.list(root)) {
      Path path = entry.getPath();
      Matcher staging = STAGING.matcher(path.getName());
      Matcher replaced = REPLACED.matcher(path.getName());
      if (staging.matches() && isLeftover.test(staging)) {
        hideAndDelete(path);
      } else if (replaced.matches() && files.exists(new Path(root, "step-" + replaced.group(1)))) {
        files.syncFolder(root); // The successor must be durable before this goes.
        hideAndDelete(path);
      }
    }
  }

  /** Of several ranks that clean the same folder, the one that renames it deletes it. */
  private void hideAndDelete(Path path) {
    Path hidden = new Path(root, DELETING + UUID.randomUUID());
    try {
      files.rename(path, hidden);
    } catch (IOException e) {
      LOG.debug("{} is left to another rank: {}", path, e.getMessage());
      return;
    }
    try {
      files.delete(hidden);
    } catch (IOException e) {
      LOG.warn("a leftover of an earlier save can't be deleted: {}", e.getMessage());
    }
  }

  /** Deletes what crashed deletions left. */
  void cleanDeleted() throws IOException {
    for (FileStatus entry : files.list(root)) {
      if (entry.getPath().getName().startsWith(DELETING)) {
        files.delete(entry.getPath());
      }
    }
  }

  private static String name(long step) {
    return "step-%010d".formatted(step);
  }
}
