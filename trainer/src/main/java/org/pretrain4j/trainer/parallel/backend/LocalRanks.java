package org.pretrain4j.trainer.parallel.backend;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.cluster.LocalStore;
import org.pretrain4j.trainer.parallel.cluster.Rendezvous;
import org.pretrain4j.trainer.parallel.cluster.Store;
import org.pretrain4j.trainer.parallel.cluster.World;

/**
 * The ranks of one process, each a member of the world in its own right: with a GPU and a
 * communicator of its own, or with its own connections. One of them is the usual case; more of them
 * are threads, such as one JVM a node with a thread a GPU.
 *
 * @param process among the processes of the run
 * @param count ranks of every process
 */
public record LocalRanks(World process, int count) {
  public LocalRanks {
    if (count < 1) {
      throw new IllegalArgumentException("a process with " + count + " ranks");
    }
  }

  /** The first rank of this process. */
  public int first() {
    return process.rank() * count;
  }

  /** Ranks of all processes. */
  public int worldSize() {
    return Math.multiplyExact(process.worldSize(), count);
  }

  /**
   * Joins all of them, at the same time as they wait for each other.
   *
   * @param backend what {@link Backend#choose} gave for the process
   * @param run a name that all ranks of this start of the run share, and no other start
   * @param joining the longest to wait for all ranks to come
   * @param timeout the longest that a rank waits in one collective for the others
   * @return by rank; each to be closed by the thread that is the rank, since closing waits for the
   *     others
   * @throws UserException if a library or a GPU is absent, the environment does not fit, or the
   *     engine has one rank a process
   */
  public List<Membership> join(
      Backend backend,
      Backend.Memory memory,
      String run,
      Duration joining,
      Duration timeout,
      Map<String, String> environment)
      throws InterruptedException {
    if (backend == Backend.IN_PROCESS) {
      throw new UserException(
          "the collectives are in_process, but the buffers of %d ranks are in GPU memory: take nccl or auto"
              .formatted(count));
    }
    if (backend == Backend.MPI && count > 1) {
      throw new UserException(
          "parallelism.ranks_per_process is %d, but MPI has one rank a process: take tcp, or start a process for each rank"
              .formatted(count));
    }
    if (count == 1) {
      return List.of(backend.join(process, memory, run, joining, timeout, environment));
    }
    // Ranks of a single process need no port to meet at.
    Store local = new LocalStore();
    List<Future<Membership>> members = new ArrayList<>();
    try (ExecutorService threads =
        Executors.newThreadPerTaskExecutor(Thread.ofPlatform().name("join-", 0).factory())) {
      CompletionService<Membership> service = new ExecutorCompletionService<>(threads);
      for (int thread = 0; thread < count; thread++) {
        World rank = process.rankOf(thread, count);
        Supplier<Store> meet =
            process.isSingle() ? () -> local : () -> Rendezvous.join(rank, run, joining);
        members.add(service.submit(() -> backend.join(rank, memory, meet, timeout, environment)));
      }
      try {
        for (int i = 0; i < count; i++) {
          service.take().get();
        }
      } catch (ExecutionException | InterruptedException e) {
        threads.shutdownNow(); // one that cannot come must not keep the others waiting
        throw e;
      }
    } catch (ExecutionException | InterruptedException e) {
      leave(
          members.stream()
              .filter(member -> member.state() == Future.State.SUCCESS)
              .map(Future::resultNow)
              .toList(),
          "another rank of its process could not join");
      throw failure(e);
    }
    return members.stream().map(Future::resultNow).toList();
  }

  /** Ends members that are of no use, and tells the other processes. */
  public static void leave(List<Membership> members, String reason) {
    for (Membership member : members) {
      member.collectives().abort(reason);
      member.close();
    }
  }

  private static RuntimeException failure(Exception e) throws InterruptedException {
    return switch (e) {
      case InterruptedException interrupted -> throw interrupted;
      case ExecutionException failed ->
          switch (failed.getCause()) {
            case RuntimeException exception -> exception;
            case Error error -> throw error;
            default -> new IllegalStateException(failed.getCause());
          };
      default -> new IllegalStateException(e);
    };
  }
}
