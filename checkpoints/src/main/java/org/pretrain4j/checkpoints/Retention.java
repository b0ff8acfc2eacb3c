package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.LongPredicate;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.StoreFolder.Candidate;

/** Deletes what no rule keeps, but never the newest good checkpoint. */
final class Retention {
  private final StoreFolder folder;
  private final Tags tags;
  private final InstantSource clock;
  private final Set<Path> verified = new HashSet<>();
  private final Object retaining = new Object();

  Retention(StoreFolder folder, Tags tags, InstantSource clock) {
    this.folder = folder;
    this.tags = tags;
    this.clock = clock;
  }

  /** Another checkpoint takes this place. */
  void forget(Path published) {
    synchronized (verified) {
      verified.remove(published);
    }
  }

  /**
   * Deletes.
   *
   * @param isSpared asked just before a checkpoint is deleted
   * @return the deleted steps, newest first
   */
  List<Long> retain(RetentionPolicy policy, LongPredicate isSpared, Consumer<String> warn) {
    synchronized (retaining) {
      List<Long> deleted = new ArrayList<>();
      for (Candidate candidate : doomed(policy, warn)) {
        // Finding them may have taken minutes, and somebody may have pinned one since.
        if (!isSpared.test(candidate.step()) && !tags.all().containsValue(candidate.step())) {
          folder.delete(candidate);
          deleted.add(candidate.step());
        }
      }
      try {
        folder.cleanDeleted();
      } catch (IOException e) {
        throw new CheckpointWriteException(
            "old checkpoints in " + folder.root() + " can't be deleted", e);
      }
      return deleted;
    }
  }

  /** What would be deleted, newest first. */
  List<Candidate> doomed(RetentionPolicy policy, Consumer<String> warn) {
    Set<Long> pinned = Set.of();
    Instant now = clock.instant();
    boolean goodOneKept = false;
    int kept = 0;
    List<Candidate> doomed = new ArrayList<>();
    for (Candidate candidate : folder.candidates()) {
      try {
        Checkpoint checkpoint = Checkpoint.open(folder.files(), candidate.folder());
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
          goodOneKept = true; // None is deleted before: the pins are needed from here on.
          pinned = Set.copyOf(tags.all().values());
        }
        kept++;
      } catch (DamagedCheckpointException e) {
        if (!e.isCertain()) {
          warn.accept("a checkpoint that can't be read now stays: " + e.getMessage());
          continue;
        }
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
}
