package org.pretrain4j.trainer.parallel.mpi;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.pretrain4j.trainer.parallel.CollectiveCall;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.GroupFailure;

/**
 * What this rank and the others tell each other besides their collectives. Guarded by the lock of
 * {@link MpiCollectives}.
 */
final class MpiPeers {
  private static final Duration ANSWER = Duration.ofSeconds(2);
  private static final int REMEMBERED = 256;

  private final ControlChannel control;
  private final int rank;
  private final int worldSize;
  private final LongSupplier begun;
  private final Consumer<GroupFailure> aborted;
  private final Map<Long, CollectiveCall> remembered = new HashMap<>();
  private final Map<Integer, ControlMessage> answers = new TreeMap<>();
  private final Map<Integer, Long> gone = new TreeMap<>();
  private boolean ended;

  /**
   * @param begun number of collectives that this rank has begun
   * @param aborted takes why another rank ended the group
   */
  MpiPeers(
      ControlChannel control,
      int rank,
      int worldSize,
      LongSupplier begun,
      Consumer<GroupFailure> aborted) {
    this.control = control;
    this.rank = rank;
    this.worldSize = worldSize;
    this.begun = begun;
    this.aborted = aborted;
  }

  /** Keeps a call for ranks that will ask for it. */
  void remember(long sequence, CollectiveCall call) {
    remembered.put(sequence, call);
    remembered.remove(sequence - REMEMBERED);
  }

  /** Takes what has come, and lets go what must leave. */
  void poll() {
    for (Optional<ControlMessage> m = control.receive(); m.isPresent(); m = control.receive()) {
      receive(m.get());
    }
    control.isFlushed();
  }

  private void receive(ControlMessage message) {
    switch (message.kind()) {
      case ABORT -> {
        ended = true;
        aborted.accept(new GroupFailure(message.reason(), message.culprits(), message.text()));
      }
      case QUERY -> {
        CollectiveCall call = remembered.get(message.number());
        boolean there = message.number() < begun.getAsLong() && call != null;
        String text = there ? call.toString() : "";
        control.send(message.sender(), message(ControlMessage.Kind.STATUS, text));
      }
      case STATUS -> answers.put(message.sender(), message);
      case GOODBYE -> gone.put(message.sender(), message.number());
    }
  }

  private ControlMessage message(ControlMessage.Kind kind, String text) {
    return ControlMessage.of(kind, rank, begun.getAsLong(), text);
  }

  /** The rank that has left without the collective of this number, if one has. */
  Optional<GroupFailure> departedBefore(long sequence) {
    return gone.entrySet().stream()
        .filter(other -> sequence >= other.getValue())
        .findFirst()
        .map(other -> GroupFailure.left(other.getKey(), other.getValue()));
  }

  /**
   * Asks the other ranks where they are.
   *
   * @param what went wrong, and where
   * @return who is at fault; empty if another rank has ended the group meanwhile
   */
  Optional<GroupFailure> diagnose(
      CollectiveCall call, long sequence, CollectiveException.Kind kind, String what) {
    answers.clear();
    control.sendAll(ControlMessage.of(ControlMessage.Kind.QUERY, rank, sequence, ""));
    long end = System.nanoTime() + ANSWER.toNanos();
    while (answers.size() < worldSize - 1 && !ended && System.nanoTime() < end) {
      control.receive().ifPresent(this::receive);
      control.isFlushed();
      Thread.yield();
    }
    return ended
        ? Optional.empty()
        : Optional.of(
            new Whereabouts(rank, worldSize, answers).explain(call, sequence, kind, what));
  }

  /** Tells all that the group has ended; waits until that has left, not for ever. */
  void tell(GroupFailure reason) {
    control.sendAll(
        new ControlMessage(
            ControlMessage.Kind.ABORT,
            rank,
            begun.getAsLong(),
            reason.kind(),
            reason.culprits(),
            reason.message()));
    long end = System.nanoTime() + ANSWER.toNanos();
    while (!control.isFlushed() && System.nanoTime() < end) {
      Thread.yield();
    }
  }

  /** Says that this rank calls no more collectives. */
  void sayGoodbye() {
    control.sendAll(message(ControlMessage.Kind.GOODBYE, ""));
  }

  /** Whether nobody has anything more to say. */
  boolean isOver() {
    return gone.size() == worldSize - 1 && control.isFlushed();
  }
}
