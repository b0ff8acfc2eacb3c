package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.LongPredicate;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.UserException;

/**
 * The folder that holds the checkpoints of a run, one folder a step. Whatever is in it that is no
 * complete checkpoint (the rest of a save that was killed) is ignored, and cleaned by the next
 * save.
 */
public final class CheckpointStore {
  private static final Logger LOG = LogManager.getLogger(CheckpointStore.class);

  private static final Pattern PUBLISHED = Pattern.compile("step-(\\d{10,})");
  private static final Pattern REPLACED = Pattern.compile("\\.replaced-step-(\\d{10,})-.*");
  private static final Pattern STAGING = Pattern.compile("\\.staging-step-(\\d{10,})-(.*)");
  private static final String DELETING = ".deleting-";
  private static final Pattern ATTEMPT = Pattern.compile("[A-Za-z0-9_-]{1,64}");

  private final DurableFileSystem files;
  private final Path root;
  private final InstantSource clock;
  private final Tags tags;
  private final Set<Path> verified = new HashSet<>();
  private final Object retaining = new Object();

  /**
   * A store in a folder, which need not exist yet.
   *
   * @param fileSystem the file system of the folder
   */
  public CheckpointStore(FileSystem fileSystem, Path root) {
    this(DurableFileSystem.of(fileSystem), root);
  }

  CheckpointStore(DurableFileSystem files, Path root) {
    this(files, root, InstantSource.system());
  }

  CheckpointStore(DurableFileSystem files, Path root, InstantSource clock) {
    this.files = files;
    this.root = files.qualify(root);
    this.clock = clock;
    this.tags = new Tags(files, new Path(this.root, "tags"));
  }

  /**
   * A store in a folder that is given as text, such as {@code runs/first/checkpoints} or {@code
   * hdfs://nn/runs/first/checkpoints}.
   *
   * @throws UserException if its file system can't be reached
   */
  public static CheckpointStore open(String folder) {
    try {
      Path path = new Path(folder);
      return new CheckpointStore(path.getFileSystem(new Configuration()), path);
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(
          "the checkpoint folder %s can't be opened: %s".formatted(folder, e.getMessage()), e);
    }
  }

  /** The folder that holds the checkpoints. */
  public Path root() {
    return root;
  }

  /**
   * Begins a save. All ranks of a save call it with the same arguments.
   *
   * @param step number of steps done
   * @param attempt letters, digits, '-' and '_'; new at each start of the run and the same on all
   *     ranks: what other attempts left staged is deleted
   * @throws CheckpointWriteException if the folder can't be created
   */
  public StagedCheckpoint stage(long step, String attempt) {
    if (!ATTEMPT.matcher(attempt).matches() || step < 0) {
      throw new IllegalArgumentException("no save: step " + step + ", attempt " + attempt);
    }
    Path folder = new Path(root, ".staging-" + name(step) + "-" + attempt);
    try {
      files.createFolder(root);
      clean(staging -> !staging.group(2).equals(attempt));
      files.createFolder(folder);
    } catch (IOException e) {
      throw new CheckpointWriteException(
          "the checkpoint of step %d can't be written to %s".formatted(step, root), e);
    }
    return new StagedCheckpoint(this, files, folder, step, attempt);
  }

  DurableFileSystem files() {
    return files;
  }

  long nowSeconds() {
    return clock.instant().getEpochSecond();
  }

  /** Moves a complete staged folder to its final name; what the attempt staged before goes. */
  void publish(long step, String attempt, Path staged) throws IOException {
    publish(step, attempt, staged, earlier -> earlier <= step);
  }

  /**
   * @param isLeftover which other steps that the attempt staged are given up
   */
  void publish(long step, String attempt, Path staged, LongPredicate isLeftover)
      throws IOException {
    Path published = new Path(root, name(step));
    if (files.exists(published)) {
      // Stays readable under its new name until the new one is in place.
      files.rename(published, new Path(root, ".replaced-" + name(step) + "-" + UUID.randomUUID()));
    }
    synchronized (verified) {
      verified.remove(published);
    }
    files.rename(staged, published);
    clean(
        staging ->
            staging.group(2).equals(attempt) && isLeftover.test(Long.parseLong(staging.group(1))));
  }

  /**
   * The newest checkpoint whose every byte is verified. Damaged ones are skipped.
   *
   * @param warn told in one line about each one that is skipped, and why
   * @return nothing if there is no checkpoint at all
   * @throws UserException if there are checkpoints but none is good, or if one was written by a
   *     newer version of the format
   */
  public Optional<Checkpoint> newestGood(Consumer<String> warn) {
    String newestDamage = null;
    for (Candidate candidate : candidates()) {
      try {
        Checkpoint checkpoint = Checkpoint.open(files, candidate.folder());
        checkpoint.verify();
        if (newestDamage != null) {
          warn.accept("the newest good checkpoint is " + candidate.folder());
        }
        return Optional.of(checkpoint);
      } catch (DamagedCheckpointException e) {
        newestDamage = newestDamage == null ? e.getMessage() : newestDamage;
        warn.accept("checkpoint skipped: " + e.getMessage());
      }
    }
    if (newestDamage != null) {
      throw new UserException(
          "no checkpoint in %s is good, the newest one: %s; restore a copy of one or use a new folder"
              .formatted(root, newestDamage));
    }
    return Optional.empty();
  }

  /**
   * Opens the checkpoint of a step and checks its manifest; its tensors are verified as they are
   * read. So one rank finds the newest good step, and the others open it.
   *
   * @throws UserException if there is no such checkpoint
   * @throws DamagedCheckpointException if its manifest is damaged
   */
  public Checkpoint open(long step) {
    for (Candidate candidate : candidates()) {
      if (candidate.step() == step) {
        return Checkpoint.open(files, candidate.folder());
      }
    }
    throw new UserException(
        "%s has no checkpoint of step %d; those there are: %s".formatted(root, step, steps()));
  }

  /** The steps of the published checkpoints, good or not, oldest first. */
  public List<Long> steps() {
    return candidates().stream().map(Candidate::step).distinct().sorted().toList();
  }

  /**
   * Gives a checkpoint a name under which retention never deletes it. A name that is already given
   * moves to this checkpoint.
   *
   * @param tag letters, digits, '-' and '_'
   * @throws UserException if there is no checkpoint of the step, or the name has other characters
   */
  public void pin(long step, String tag) {
    open(step);
    tags.put(step, tag);
  }

  /** Takes a name away again; nothing happens if no checkpoint has it. */
  public void unpin(String tag) {
    tags.remove(tag);
  }

  /** The pinned steps by their names. */
  public SortedMap<String, Long> tags() {
    return tags.all();
  }

  /**
   * Deletes all checkpoints but the newest ones and the pinned ones.
   *
   * @param keepLast number of checkpoints to keep, at least 1
   * @see #retain
   */
  public void retainNewest(int keepLast, Consumer<String> warn) {
    retain(RetentionPolicy.newest(keepLast), warn);
  }

  /**
   * Deletes what the policy does not keep. The newest good checkpoint, all of whose bytes are
   * verified here, always stays, whatever its rank; damaged ones are not counted. So are all newer
   * ones and the pinned ones.
   *
   * @param warn told in one line about each one that is damaged
   * @return the deleted steps, newest first
   * @throws CheckpointWriteException if one can't be deleted
   */
  public List<Long> retain(RetentionPolicy policy, Consumer<String> warn) {
    return retain(policy, step -> false, warn);
  }

  /**
   * As the other one, and the spared steps stay, too.
   *
   * @param isSpared asked just before a checkpoint is deleted
   */
  List<Long> retain(RetentionPolicy policy, LongPredicate isSpared, Consumer<String> warn) {
    synchronized (retaining) {
      List<Long> deleted = new ArrayList<>();
      for (Candidate candidate : doomed(policy, warn)) {
        if (!isSpared.test(candidate.step())) {
          delete(candidate);
          deleted.add(candidate.step());
        }
      }
      try {
        cleanDeleted();
      } catch (IOException e) {
        throw new CheckpointWriteException("old checkpoints in " + root + " can't be deleted", e);
      }
      return deleted;
    }
  }

  /** The steps that {@link #retain} would delete, newest first; deletes nothing. */
  public List<Long> wouldDelete(RetentionPolicy policy, Consumer<String> warn) {
    return doomed(policy, warn).stream().map(Candidate::step).toList();
  }

  private List<Candidate> doomed(RetentionPolicy policy, Consumer<String> warn) {
    Set<Long> pinned = Set.copyOf(tags.all().values());
    Instant now = clock.instant();
    boolean goodOneKept = false;
    int kept = 0;
    List<Candidate> doomed = new ArrayList<>();
    for (Candidate candidate : candidates()) {
      try {
        Checkpoint checkpoint = Checkpoint.open(files, candidate.folder());
        if (goodOneKept) {
          if (kept >= policy.keepLast()
              && !pinned.contains(candidate.step())
              && !policy.keepsByStepOrAge(candidate.step(), checkpoint.savedAt(), now)) {
            doomed.add(candidate);
            continue;
          }
          checkpoint.verifySizes();
        } else {
          verifyOnce(checkpoint);
          goodOneKept = true;
        }
        kept++;
      } catch (DamagedCheckpointException e) {
        warn.accept("a damaged checkpoint is not counted as kept: " + e.getMessage());
        if (kept >= policy.keepLast()
            && !pinned.contains(candidate.step())
            && !policy.keepsByStepOrAge(candidate.step(), Instant.EPOCH, now)) {
          doomed.add(candidate);
        }
      }
    }
    return doomed;
  }

  private void verifyOnce(Checkpoint checkpoint) {
    synchronized (verified) {
      if (verified.contains(checkpoint.folder())) {
        checkpoint.verifySizes();
        return;
      }
    }
    checkpoint.verify();
    synchronized (verified) {
      verified.add(checkpoint.folder());
    }
  }

  /** Renames first, so that a crash in the middle leaves no half checkpoint behind. */
  private void delete(Candidate candidate) {
    try {
      Path hidden = new Path(root, DELETING + name(candidate.step()) + "-" + UUID.randomUUID());
      files.rename(candidate.folder(), hidden);
      files.delete(hidden);
    } catch (IOException e) {
      throw new CheckpointWriteException(candidate.folder() + " can't be deleted", e);
    }
  }

  private record Candidate(long step, boolean replaced, Path folder) {}

  /** Whatever may be a checkpoint, newest first, a replaced one after its successor. */
  private List<Candidate> candidates() {
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
      throw new UserException("%s can't be listed: %s".formatted(root, e.getMessage()), e);
    }
    candidates.sort(
        Comparator.comparingLong(Candidate::step).reversed().thenComparing(Candidate::replaced));
    return candidates;
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
  private void cleanDeleted() throws IOException {
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
