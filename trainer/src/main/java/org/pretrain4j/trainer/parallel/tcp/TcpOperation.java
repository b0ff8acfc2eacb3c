package org.pretrain4j.trainer.parallel.tcp;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Supplier;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.ProcessCollectives;
import org.pretrain4j.trainer.parallel.ScratchPool;

/**
 * A collective of one rank: stages, each of which sends to and receives from other ranks and ends
 * with work of this rank alone. Large ones wait for their turn before they begin. Guarded by the
 * lock of {@link TcpCollectives}.
 */
final class TcpOperation extends ProcessCollectives.Operation {
  /**
   * One stage; segments by rank.
   *
   * @param scratch memory of the pool that goes back at its end
   */
  record Stage(
      Map<Integer, MemorySegment> sends,
      Map<Integer, MemorySegment> receives,
      Runnable work,
      List<MemorySegment> scratch) {}

  private final Supplier<List<Stage>> plan;
  private final List<Integer> others;
  private List<Stage> stages = List.of();
  private final List<Map<Integer, MemorySegment>> waiting = new ArrayList<>();
  private int current;
  private int unsent;
  boolean working;
  volatile boolean done;

  /**
   * @param others all ranks but this one
   * @param plan makes the stages when its turn comes
   */
  TcpOperation(
      long sequence, CollectiveCall call, List<Integer> others, Supplier<List<Stage>> plan) {
    super(sequence, call);
    this.others = others;
    this.plan = plan;
  }

  /** Its turn has come. */
  void begin() {
    stages = plan.get();
    stages.forEach(stage -> waiting.add(new HashMap<>(stage.receives())));
  }

  boolean hasBegun() {
    return !stages.isEmpty();
  }

  /**
   * Whether it needs a turn: for the memory in which it receives or, where it needs none itself,
   * for that in which slower ranks keep what comes before they have begun.
   */
  boolean isLarge() {
    return call().wholeBytes(others.size() + 1) >= ScratchPool.LARGE;
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
    if (!hasBegun()) {
      return others;
    }
    return current < stages.size()
        ? List.copyOf(new TreeSet<>(waiting.get(current).keySet()))
        : List.of();
  }
}
