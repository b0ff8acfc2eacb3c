package org.pretrain4j.trainer.parallel.nccl;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Where ranks leave each other notes besides NCCL; it works while their GPUs hang. */
public interface Board {
  /**
   * Why the group is of no more use.
   *
   * @param kind name of a {@link org.pretrain4j.trainer.parallel.CollectiveException.Kind}
   */
  record Note(String kind, List<Integer> culprits, String message) {
    public Note {
      culprits = List.copyOf(culprits);
    }
  }

  /** Leaves a value for all. */
  void post(String key, byte[] value);

  /** A value, if it is there. */
  Optional<byte[]> find(String key);

  /** Says how far this rank is: the number of collectives begun, a blank, the last of them. */
  void publish(int rank, String progress);

  /** What each rank said last. */
  Map<Integer, String> progress();

  /** Ends the group; the first note stays. */
  void fail(Note note);

  /** Why the group has ended, if it has; also that a rank's process has gone without a word. */
  Optional<Note> failure();
}
