package org.pretrain4j.trainer.parallel.faults;

import java.io.IOException;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Starts the ranks of a run as processes of this machine and keeps the run going: notices the first
 * that dies or hangs, ends the others, says which it was and why, and starts again. Training
 * resumes from its newest good checkpoint by itself.
 *
 * <p>The processes find each other through torchrun's variables, which it sets.
 */
public final class Supervisor {
  /**
   * How one attempt ended.
   *
   * @param number of the attempt, from 1
   * @param rank that failed first; -1 if all succeeded or it is unknown
   * @param reason in a line
   * @param exitCode of that rank, or 0
   * @param step the highest step that a rank reported; -1 for none
   */
  public record Attempt(int number, int rank, String reason, int exitCode, long step) {}

  /** How the run ended: exit code and all attempts. */
  public record Outcome(int exitCode, List<Attempt> attempts) {
    public Outcome {
      attempts = List.copyOf(attempts);
    }
  }

  /** Exit code of a rank that hangs, and of a run whose last attempt hung. */
  public static final int HUNG = 70;

  /** Exit code of a rank that gives up because another one failed. */
  public static final int OTHER_RANK = 71;

  /** Exit code of ranks that were told to stop and have saved. */
  public static final int SAVED = 75;

  private static final Duration POLL = Duration.ofSeconds(1);

  /** How long the ranks have to end by themselves once the first of them has. */
  private static final Duration SETTLE = Duration.ofSeconds(3);

  private static final Duration LONGEST_BACKOFF = Duration.ofMinutes(1);

  private final SupervisorConfig config;
  private final Consumer<String> output;
  private final CountDownLatch stopped = new CountDownLatch(1);
  private volatile List<RankProcess> running = List.of();

  /** Whether all ranks of this attempt have written a record. */
  private boolean begun;

  /**
   * A supervisor that has started nothing yet.
   *
   * @param output gets each line of the ranks, with the rank in front, and the supervisor's own;
   *     from several threads
   */
  public Supervisor(SupervisorConfig config, Consumer<String> output) {
    this.config = config;
    this.output = output;
  }

  /** Runs until the ranks succeed, or starting again is of no use. */
  public Outcome run() throws IOException, InterruptedException {
    List<Attempt> attempts = new ArrayList<>();
    long furthest = -1;
    int vain = 0;
    while (true) {
      Attempt attempt = attempt(attempts.size() + 1);
      attempts.add(attempt);
      if (attempt.exitCode() == 0) {
        return new Outcome(0, attempts);
      }
      output.accept("attempt " + attempt.number() + ": " + attempt.reason());
      vain = attempt.step() > furthest ? 0 : vain + 1;
      furthest = Math.max(furthest, attempt.step());
      boolean last = config.finalExitCodes().contains(attempt.exitCode());
      if (last || isStopping() || vain > config.restarts() || config.restarts() == 0) {
        if (!last && !isStopping()) {
          output.accept("gave up after " + attempts.size() + " attempts");
        }
        return new Outcome(attempt.exitCode(), attempts);
      }
      Duration pause = config.backoff().multipliedBy(1L << Math.min(10, vain));
      pause = pause.compareTo(LONGEST_BACKOFF) > 0 ? LONGEST_BACKOFF : pause;
      output.accept("starting again in " + pause.toMillis() / 1000.0 + " s");
      if (stopped.await(pause.toMillis(), TimeUnit.MILLISECONDS)) {
        // Nothing runs, and the newest checkpoint is what there is to go on from.
        return new Outcome(SAVED, attempts);
      }
    }
  }

  private boolean isStopping() {
    return stopped.getCount() == 0;
  }

  /**
   * To be called by a rank as it starts: a rank whose supervisor was killed must not go on beside
   * the ranks of the next one. Does nothing without a supervisor.
   *
   * @param environment of the rank
   * @param end what to do when the supervisor has gone, such as halting
   */
  public static void endWith(Map<String, String> environment, Runnable end) {
    String pid = environment.get(SupervisorConfig.SUPERVISOR);
    if (pid != null) {
      ProcessHandle.of(Long.parseLong(pid))
          .ifPresentOrElse(supervisor -> supervisor.onExit().thenRun(end), end);
    }
  }

  /** Tells the ranks to save and end, as SIGTERM does; safe from any thread. */
  public void stop() {
    stopped.countDown();
    running.forEach(RankProcess::terminate);
  }

  private Attempt attempt(int number) throws IOException, InterruptedException {
    FlightRecord.clear(config.records(), config.ranks());
    begun = false;
    BlockingQueue<RankProcess> ended = new LinkedBlockingQueue<>();
    List<RankProcess> processes = new ArrayList<>();
    try {
      int port = freePort();
      for (int index = 0; index < config.processes(); index++) {
        int first = index * config.ranksPerProcess();
        RankProcess process =
            new RankProcess(first, config.ranksPerProcess(), builder(index, number, port), output);
        processes.add(process);
        process.process().onExit().thenRun(() -> ended.add(process));
      }
      running = List.copyOf(processes);
      if (isStopping()) {
        stop();
      }
      return watch(number, processes, ended);
    } finally {
      running = List.of();
      processes.forEach(RankProcess::kill);
      for (RankProcess process : processes) {
        process.awaitOutput();
      }
    }
  }

  private ProcessBuilder builder(int index, int attempt, int port) {
    ProcessBuilder builder = new ProcessBuilder(config.command());
    Map<String, String> environment = builder.environment();
    environment.putAll(config.environment());
    environment.put("RANK", Integer.toString(index));
    environment.put("WORLD_SIZE", Integer.toString(config.processes()));
    environment.put("LOCAL_RANK", Integer.toString(index));
    environment.put("LOCAL_WORLD_SIZE", Integer.toString(config.processes()));
    environment.put("MASTER_ADDR", "127.0.0.1");
    environment.put("MASTER_PORT", Integer.toString(port));
    environment.put(SupervisorConfig.ATTEMPT, Integer.toString(attempt));
    environment.put(SupervisorConfig.SUPERVISOR, Long.toString(ProcessHandle.current().pid()));
    environment.put(SupervisorConfig.RECORDS, config.records().toString());
    return builder;
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  private Attempt watch(int number, List<RankProcess> processes, BlockingQueue<RankProcess> ended)
      throws IOException, InterruptedException {
    long start = System.currentTimeMillis();
    int succeeded = 0;
    while (true) {
      RankProcess process = ended.poll(POLL.toMillis(), TimeUnit.MILLISECONDS);
      if (process == null) {
        Culprits culprits = hanging(processes, start);
        if (culprits != null) {
          output.accept("the run hangs: " + culprits);
          if (culprits.first() >= 0) {
            processOf(culprits, processes).dumpThreads();
            Thread.sleep(POLL);
          }
          end(processes);
          String reason = "the run hangs: " + culprits;
          return new Attempt(number, culprits.first(), reason, HUNG, furthestStep());
        }
      } else if (process.exitCode() != 0) {
        return failed(number, process, processes, ended);
      } else if (++succeeded == processes.size()) {
        return new Attempt(number, -1, "all ranks succeeded", 0, furthestStep());
      }
    }
  }

  /**
   * The first rank that ended is the one to blame, with two exceptions: it may have given up only
   * because of another one, and a rank that says that starting again is of no use is believed.
   */
  private Attempt failed(
      int number, RankProcess first, List<RankProcess> processes, BlockingQueue<RankProcess> ended)
      throws IOException, InterruptedException {
    List<RankProcess> inOrder = new ArrayList<>(List.of(first));
    Culprits hanging = culprits();
    Duration settle = config.grace().compareTo(SETTLE) < 0 ? config.grace() : SETTLE;
    long until = System.nanoTime() + settle.toNanos();
    while (processes.stream().anyMatch(RankProcess::isAlive) && System.nanoTime() < until) {
      RankProcess next = ended.poll(POLL.toMillis(), TimeUnit.MILLISECONDS);
      if (next != null) {
        inOrder.add(next);
      }
    }
    ended.drainTo(inOrder);
    RankProcess culprit =
        inOrder.stream()
            .filter(process -> config.finalExitCodes().contains(process.exitCode()))
            .findFirst()
            .or(() -> inOrder.stream().filter(Supervisor::failedByItself).findFirst())
            .orElse(first);
    int last = culprit.exitCode();
    // A rank whose watchdog ended it may only have waited for the one to blame, which may not have
    // ended at all.
    boolean hangs =
        !hanging.isEmpty()
            && (last == HUNG
                || (last == OTHER_RANK
                    && !hanging.reasons().containsKey(culprit.rank())
                    && processOf(hanging, processes).isAlive()));
    int code = hangs ? HUNG : last;
    String reason = hangs ? "the run hangs: " + hanging : culprit.describeEnd();
    int rank = hangs ? hanging.first() : culprit.rank();
    end(processes);
    return new Attempt(number, rank, reason, code, furthestStep());
  }

  private RankProcess processOf(Culprits culprits, List<RankProcess> processes) {
    return processes.get(culprits.first() / config.ranksPerProcess());
  }

  private static boolean failedByItself(RankProcess process) {
    return process.exitCode() != 0 && process.exitCode() != OTHER_RANK;
  }

  private Culprits culprits() {
    Map<Integer, FlightRecord> records = FlightRecord.readAll(config.records(), config.ranks());
    long now = System.currentTimeMillis();
    return Culprits.find(records, config.ranks(), Watchdog.silence(config.hangTimeout()), now);
  }

  /** Who keeps the others waiting; null if nobody hangs. */
  private Culprits hanging(List<RankProcess> processes, long start) {
    long now = System.currentTimeMillis();
    Map<Integer, FlightRecord> records = FlightRecord.readAll(config.records(), config.ranks());
    begun |= config.startTimeout().isZero() || records.size() == config.ranks();
    if (!begun && now - start <= config.startTimeout().toMillis()) {
      return null;
    }
    long limit = config.hangTimeout().toMillis();
    boolean hangs = !begun;
    for (RankProcess process : processes) {
      for (int i = 0; i < config.ranksPerProcess(); i++) {
        FlightRecord record = records.get(process.rank() + i);
        if (record != null && process.isAlive()) {
          hangs |= now - Math.min(record.beatMillis(), record.sinceMillis()) > limit;
        }
      }
    }
    if (!hangs) {
      return null;
    }
    return culprits();
  }

  private long furthestStep() {
    return FlightRecord.readAll(config.records(), config.ranks()).values().stream()
        .mapToLong(FlightRecord::step)
        .max()
        .orElse(-1);
  }

  /** SIGTERM, then SIGKILL for those that remain. */
  private void end(List<RankProcess> processes) throws InterruptedException {
    processes.stream().filter(RankProcess::isAlive).forEach(RankProcess::terminate);
    long until = System.nanoTime() + config.grace().toNanos();
    for (RankProcess process : processes) {
      if (!process.waitFor(Duration.ofNanos(Math.max(1, until - System.nanoTime())))) {
        process.kill();
        process.waitFor(Duration.ofSeconds(5));
      }
    }
  }
}
