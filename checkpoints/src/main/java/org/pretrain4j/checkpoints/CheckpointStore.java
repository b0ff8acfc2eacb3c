package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.function.Consumer;
import java.util.function.LongPredicate;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.StoreFolder.Candidate;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.StorageException;
import org.pretrain4j.configuration.UserException;

/**
 * The folder that holds the checkpoints of a run, one folder a step. Whatever is in it that is no
 * complete checkpoint (the rest of a save that was killed) is ignored, and cleaned by the next
 * save.
 */
public final class CheckpointStore {
  private static final Pattern ATTEMPT = Pattern.compile("[A-Za-z0-9_-]{1,64}");

  private final StoreFolder folder;
  private final InstantSource clock;
  private final Tags tags;
  private final Retention retention;

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
    this.folder = new StoreFolder(files, root);
    this.clock = clock;
    this.tags = new Tags(files, new Path(folder.root(), "tags"));
    this.retention = new Retention(folder, tags, clock);
  }

  /**
   * A store in a folder that is given as text, such as {@code runs/first/checkpoints} or {@code
   * hdfs://nn/runs/first/checkpoints}.
   *
   * @throws UserException if there is no such file system
   * @throws StorageException if it can't be reached
   */
  public static CheckpointStore open(String folder) {
    try {
      Path path = new Path(folder);
      return new CheckpointStore(path.getFileSystem(new Configuration()), path);
    } catch (IllegalArgumentException e) {
      throw new UserException(unopened(folder, e), e);
    } catch (IOException e) {
      throw new StorageException(unopened(folder, e), e);
    }
  }

  private static String unopened(String folder, Exception e) {
    return "the checkpoint folder %s can't be opened: %s".formatted(folder, e.getMessage());
  }

  /** The folder that holds the checkpoints. */
  public Path root() {
    return folder.root();
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
    try {
      return new StagedCheckpoint(this, folder.stage(step, attempt), step, attempt);
    } catch (IOException e) {
      throw new CheckpointWriteException(
          "the checkpoint of step %d can't be written to %s".formatted(step, root()), e);
    }
  }

  DurableFileSystem files() {
    return folder.files();
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
    folder.setAside(step);
    retention.forget(folder.published(step));
    folder.publish(step, attempt, staged, isLeftover);
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
    for (Candidate candidate : folder.candidates()) {
      try {
        Checkpoint checkpoint = Checkpoint.open(folder.files(), candidate.folder());
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
              .formatted(root(), newestDamage));
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
    for (Candidate candidate : folder.candidates()) {
      if (candidate.step() == step) {
        return Checkpoint.open(folder.files(), candidate.folder());
      }
    }
    throw new UserException(
        "%s has no checkpoint of step %d; those there are: %s".formatted(root(), step, steps()));
  }

  /**
   * As {@link #open(long)}, but by the name of its folder: of a step there may be two, where one
   * was to take the place of the other.
   *
   * @throws UserException if there is no such checkpoint
   * @throws DamagedCheckpointException if its manifest is damaged
   */
  public Checkpoint openFolder(String name) {
    for (Candidate candidate : folder.candidates()) {
      if (candidate.folder().getName().equals(name)) {
        return Checkpoint.open(folder.files(), candidate.folder());
      }
    }
    throw new UserException("%s has no checkpoint %s".formatted(root(), name));
  }

  /** The steps of the published checkpoints, good or not, oldest first. */
  public List<Long> steps() {
    return folder.candidates().stream().map(Candidate::step).distinct().sorted().toList();
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
    return retention.retain(policy, isSpared, warn);
  }

  /** The steps that {@link #retain} would delete, newest first; deletes nothing. */
  public List<Long> wouldDelete(RetentionPolicy policy, Consumer<String> warn) {
    return retention.doomed(policy, warn).stream().map(Candidate::step).toList();
  }
}
