package org.pretrain4j.trainer.parallel.mpi;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.GroupFailure;

/**
 * Where the ranks are when a collective does not complete.
 *
 * @param rank who asks
 * @param worldSize number of ranks
 * @param answers of those that answered, by rank
 */
record Whereabouts(int rank, int worldSize, Map<Integer, ControlMessage> answers) {

  /**
   * Names those who called something else, or else those who did not come.
   *
   * @param what went wrong, and where
   */
  GroupFailure explain(
      CollectiveCall call, long sequence, CollectiveException.Kind kind, String what) {
    Map<Integer, String> missing = new TreeMap<>();
    Map<Integer, String> different = new TreeMap<>();
    for (int other = 0; other < worldSize; other++) {
      ControlMessage answer = answers.get(other);
      if (other == rank) {
        continue;
      } else if (answer == null) {
        missing.put(other, "rank " + other + " (does not answer)");
      } else if (answer.number() <= sequence) {
        missing.put(other, "rank " + other + " (begun " + answer.number() + " collectives)");
      } else if (!answer.text().isEmpty() && !answer.text().equals(call.toString())) {
        different.put(other, "rank " + other + " called " + answer.text());
      }
    }
    if (!different.isEmpty()) {
      List<Integer> both = new ArrayList<>(different.keySet());
      both.add(rank);
      return GroupFailure.mismatch(
          sequence,
          both,
          "rank %d called %s, %s".formatted(rank, call, GroupFailure.some(different.values())));
    }
    return new GroupFailure(
        kind,
        List.copyOf(missing.keySet()),
        what
            + (missing.isEmpty()
                ? ", all ranks are there"
                : ", missing: " + GroupFailure.some(missing.values())));
  }
}
