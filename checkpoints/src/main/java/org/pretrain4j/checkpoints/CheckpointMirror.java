package org.pretrain4j.checkpoints;

import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.pretrain4j.configuration.UserException;

/**
 * Copies checkpoints to a second folder, which may be on another file system. Every block is
 * verified while it is read, the copy appears by one rename, and a copy that was broken off goes on
 * with the files that are still missing.
 */
public final class CheckpointMirror implements AutoCloseable {
  private static final long NONE = -1;
  private static final long SECONDS_UNTIL_INTERRUPTED = 5;

  private final CheckpointStore source;
  private final CheckpointStore target;
  private final Consumer<String> warn;
  private final CheckpointCopier copier;
  private final ExecutorService background =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().name("checkpoint-mirror").daemon().factory());
  private volatile long copying = NONE;
  private volatile boolean spared;
  private volatile boolean givenUp;

  /**
   * Copies from one store to another.
   *
   * @param warn told in one line about each copy in the background that failed
   */
  public CheckpointMirror(CheckpointStore source, CheckpointStore target, Consumer<String> warn) {
    this.source = source;
    this.target = target;
    this.warn = warn;
    this.copier = new CheckpointCopier(source, target, warn);
  }

  /**
   * Copies in the background, one checkpoint at a time, the newest first, all that the target lacks
   * up to the given step. A failure is only a warning: the next call tries again.
   */
  public void copyInBackground(long upToStep) {
    inBackground(() -> copyMissing(upToStep));
  }

  /**
   * As {@link #copyInBackground}, and then pins in the target what is pinned in the source and
   * deletes there what neither the policy keeps nor the source has; and in the source what was only
   * kept until it was copied.
   */
  public void followInBackground(long upToStep, RetentionPolicy policy) {
    inBackground(
        () -> {
          boolean complete = copyMissing(upToStep);
          if (spared && !givenUp) {
            spared = false;
            retainSource(policy);
          }
          if (complete) {
            followTags();
            target.retain(policy, Set.copyOf(source.steps())::contains, warn);
          }
        });
  }

  /** A save that ends after the copies were given up is no less saved. */
  private void inBackground(Runnable work) {
    if (givenUp) {
      return;
    }
    try {
      background.execute(
          () -> {
            try {
              work.run();
            } catch (RuntimeException e) {
              failed(e);
            }
          });
    } catch (RejectedExecutionException e) {
      failed(e);
    }
  }

  /** The copies go on with the next save; a run that gives them up knows why they fail. */
  private void failed(RuntimeException reason) {
    if (!givenUp) {
      warn.accept("the copies in " + target.root() + " can't follow: " + reason.getMessage());
    }
  }

  /**
   * Deletes in the source what the policy does not keep, but not what is just being copied: else a
   * copy that takes longer than the time between saves would never come to its end. What goes
   * before it was copied is warned about.
   *
   * @throws CheckpointWriteException if one can't be deleted
   */
  public void retainSource(RetentionPolicy policy) {
    List<Long> deleted = source.retain(policy, this::isCopying, warn);
    if (deleted.isEmpty()) {
      return;
    }
    try {
      unpinCopies(deleted); // Retention deletes nothing that is pinned.
      for (long step : deleted) {
        if (!target.steps().contains(step)) {
          warn.accept(
              "step %d was deleted before it was copied to %s: copying is slower than saving; save less often or keep more"
                  .formatted(step, target.root()));
        }
      }
    } catch (UserException e) {
      failed(e);
    }
  }

  private void followTags() {
    unpinCopies(source.steps());
    source.tags().forEach(this::pinCopy);
  }

  /** Pins of other steps stay: a source that was lost knows nothing about them. */
  private void unpinCopies(List<Long> known) {
    Set<String> pinned = source.tags().keySet();
    target
        .tags()
        .forEach(
            (tag, step) -> {
              if (known.contains(step) && !pinned.contains(tag)) {
                target.unpin(tag);
              }
            });
  }

  private boolean isCopying(long step) {
    boolean is = step == copying;
    spared |= is;
    return is;
  }

  private void pinCopy(String tag, long step) {
    if (target.steps().contains(step) && !Long.valueOf(step).equals(target.tags().get(tag))) {
      target.pin(step, tag);
    }
  }

  /** Returns whether all that was to be copied now is. */
  private boolean copyMissing(long upToStep) {
    boolean complete = true;
    for (long step : source.steps().reversed()) {
      if (givenUp) {
        return false;
      }
      try {
        if (step <= upToStep) {
          copying = step;
          copy(step);
        }
      } catch (RuntimeException e) {
        if (givenUp) {
          return false;
        }
        if (source.steps().contains(step)) { // Else it was deleted in the meantime.
          complete = false;
          warn.accept("a checkpoint was not copied: " + e.getMessage());
        }
      } finally {
        copying = NONE;
      }
    }
    return complete;
  }

  /**
   * Copies one checkpoint and returns when it is durable; nothing happens if the target has it.
   *
   * @throws DamagedCheckpointException if the source is damaged
   * @throws CheckpointWriteException if the target can't be written
   */
  public void copy(long step) {
    copier.copy(step);
  }

  /** As {@link #copy}, but takes the place of what the target has. */
  public void copyAnew(long step) {
    copier.copyAnew(step);
  }

  /** Gives up the copies in the background; a later start goes on with what is missing. */
  public void giveUp() {
    givenUp = true;
    background.shutdownNow();
    try {
      background.awaitTermination(SECONDS_UNTIL_INTERRUPTED, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits for the copies in the background. */
  @Override
  public void close() {
    background.close();
  }
}
