package org.pretrain4j.trainer.parallel.tcp;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.ProcessCollectives;

/**
 * A collective under way on one rank: stages, each of which sends to and receives from other ranks
 * and ends with work of this rank alone. Guarded by the lock of {@link TcpCollectives}.
 */
final class TcpOperation extends ProcessCollectives.Operation {
  /** One stage; segments by rank. */
  record Stage(
      Map<Integer, MemorySegment> sends, Map<Integer, MemorySegment> receives, Runnable work) {}

  private final List<Stage> stages;
  private final List<Map<Integer, MemorySegment>> waiting = new ArrayList<>();
  private int current;
  private int unsent;
  boolean working;
  volatile boolean done;

  TcpOperation(long sequence, CollectiveCall call, List<Stage> stages) {
    super(sequence, call);
    this.stages = stages;
    stages.forEach(stage -> waiting.add(new HashMap<>(stage.receives())));
  }

  /** Number of the current stage, from 1. */
  int stageNumber() {
    return current + 1;
  }

  Stage stage() {
    return stages.get(current);
  }

  /** Where bytes of a stage from a rank go; null if none are expected. */
  MemorySegment target(int stage, int rank) {
    return stage > stages.size() ? null : waiting.get(stage - 1).get(rank);
  }

  void received(int stage, int rank) {
    waiting.get(stage - 1).remove(rank);
  }

  void sending(int count) {
    unsent += count;
  }

  void sent() {
    unsent--;
  }

  boolean isStageComplete() {
    return waiting.get(current).isEmpty() && unsent == 0;
  }

  /** Whether there is another stage. */
  boolean next() {
    current++;
    return current < stages.size();
  }

  /** Ranks whose bytes are missing. */
  List<Integer> missing() {
    return current < stages.size()
        ? List.copyOf(new TreeSet<>(waiting.get(current).keySet()))
        : List.of();
  }
}
