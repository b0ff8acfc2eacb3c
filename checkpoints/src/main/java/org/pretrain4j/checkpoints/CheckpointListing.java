package org.pretrain4j.checkpoints;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.pretrain4j.configuration.UserException;

/** What a store holds, good or not: what {@code checkpoints list} and {@code verify} show. */
public final class CheckpointListing {
  private CheckpointListing() {}

  /**
   * One checkpoint.
   *
   * @param step number of steps done
   * @param checkpoint the checkpoint, if its manifest can be read
   * @param problem what is wrong with it, in one line
   * @param tags names under which it is pinned
   */
  public record Entry(
      long step, Optional<Checkpoint> checkpoint, Optional<String> problem, List<String> tags) {}

  /** All checkpoints, oldest first; of the tensors only the sizes of their files are checked. */
  public static List<Entry> list(CheckpointStore store) {
    return entries(store, false);
  }

  /** All checkpoints, oldest first; every byte is verified. */
  public static List<Entry> verify(CheckpointStore store) {
    return entries(store, true);
  }

  private static List<Entry> entries(CheckpointStore store, boolean verifyBytes) {
    List<Entry> entries = new ArrayList<>();
    for (long step : store.steps()) {
      entries.add(entry(store, step, verifyBytes));
    }
    return entries;
  }

  /** One checkpoint, every byte of it verified. */
  public static Entry verify(CheckpointStore store, long step) {
    return entry(store, step, true);
  }

  private static Entry entry(CheckpointStore store, long step, boolean verifyBytes) {
    List<String> tags =
        store.tags().entrySet().stream()
            .filter(tag -> tag.getValue() == step)
            .map(tag -> tag.getKey())
            .toList();
    Optional<Checkpoint> checkpoint = Optional.empty();
    try {
      checkpoint = Optional.of(store.open(step));
      if (verifyBytes) {
        checkpoint.get().verify();
      } else {
        checkpoint.get().verifySizes();
      }
      return new Entry(step, checkpoint, Optional.empty(), tags);
    } catch (UserException e) {
      return new Entry(step, checkpoint, Optional.of(e.getMessage()), tags);
    }
  }
}
