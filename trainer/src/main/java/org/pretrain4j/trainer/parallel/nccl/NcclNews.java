package org.pretrain4j.trainer.parallel.nccl;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.GroupFailure;

/**
 * What the ranks tell each other on the board, since NCCL itself knows nothing of a peer that does
 * not come.
 */
final class NcclNews {
  private static final Logger LOG = LogManager.getLogger();
  private static final Duration INTERVAL = Duration.ofSeconds(1);

  /**
   * How long the rendezvous may stay away: its process may be ending in good order, as this one.
   */
  private static final Duration LOST = Duration.ofSeconds(5);

  private final Board board;
  private final int rank;
  private final int worldSize;
  private final Supplier<String> progress;

  /**
   * @param progress the number of collectives that this rank has begun, a blank, the last of them
   */
  NcclNews(Board board, int rank, int worldSize, Supplier<String> progress) {
    this.board = board;
    this.rank = rank;
    this.worldSize = worldSize;
    this.progress = progress;
  }

  /** Publishes where this rank is, and listens for failures of others, until told to end. */
  void watch(BooleanSupplier ended, Consumer<GroupFailure> failed) {
    long reached = System.nanoTime();
    while (!ended.getAsBoolean()) {
      try {
        publish();
        board.failure().ifPresent(note -> failed.accept(failure(note)));
        reached = System.nanoTime();
      } catch (RuntimeException e) {
        LOG.warn("rank {} cannot reach the rendezvous: {}", rank, e.getMessage());
        if (System.nanoTime() - reached > LOST.toNanos()) {
          failed.accept(lost(e));
        }
      }
      LockSupport.parkNanos(INTERVAL.toNanos());
    }
  }

  /** That the rendezvous does not answer any more. */
  static GroupFailure lost(RuntimeException e) {
    return new GroupFailure(
        CollectiveException.Kind.LEFT,
        List.of(0),
        "rank 0, which holds the rendezvous, died or was cut off: " + e.getMessage());
  }

  private void publish() {
    board.publish(rank, progress.get());
  }

  private static GroupFailure failure(Board.Note note) {
    return new GroupFailure(
        CollectiveException.Kind.valueOf(note.kind()), note.culprits(), note.message());
  }

  /** Tells the others; does not throw, since this rank has failed already. */
  void tell(GroupFailure reason) {
    tell(board, rank, reason);
  }

  /** As above, for a rank that has not come so far as to listen. */
  static void tell(Board board, int rank, GroupFailure reason) {
    try {
      board.fail(new Board.Note(reason.kind().name(), reason.culprits(), reason.message()));
    } catch (RuntimeException e) {
      LOG.warn("rank {} cannot tell the others that it failed: {}", rank, e.getMessage());
    }
  }

  /** Adds to a failure the ranks that have not begun a collective, as far as the board knows. */
  GroupFailure located(CollectiveException.Kind kind, String what, long sequence) {
    try {
      publish();
      // Until every rank that lives has written once more.
      Thread.sleep(INTERVAL.plusMillis(500));
      Optional<Board.Note> first = board.failure();
      if (first.isPresent()) {
        return failure(first.get()); // what is seen here only follows from it
      }
      List<Integer> culprits = new ArrayList<>();
      List<String> missing = new ArrayList<>();
      Map<Integer, String> lines = board.progress();
      for (int other = 0; other < worldSize; other++) {
        String line = lines.getOrDefault(other, "");
        int blank = line.indexOf(' ');
        long number = blank < 0 ? -1 : Long.parseLong(line.substring(0, blank));
        if (number <= sequence) {
          culprits.add(other);
          String seen = blank < 0 ? "never seen" : "begun " + number + " collectives";
          missing.add("rank " + other + " (" + seen + ")");
        }
      }
      String names = GroupFailure.some(missing);
      String text = missing.isEmpty() ? ", all ranks are there" : ", missing: " + names;
      return new GroupFailure(kind, culprits, what + text);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return new GroupFailure(kind, List.of(), what);
    } catch (RuntimeException e) {
      LOG.warn("rank {} cannot ask where the others are: {}", rank, e.getMessage());
      return new GroupFailure(kind, List.of(), what + ", the rendezvous does not answer");
    }
  }
}
