package org.pretrain4j.trainer.parallel.faults;

/** Keeps one rank's {@link FlightRecord} up to date. Safe for several threads. */
public final class FlightRecorder {
  private final int rank;
  private final int attempt;
  private long step = -1;
  private String phase = "starting";
  private long collectives;
  private Object collective = "";
  private boolean waiting;
  private long since = System.currentTimeMillis();
  private long exposedNanos;

  /**
   * A rank that begins.
   *
   * @param attempt which start of the run this is, from 1
   */
  public FlightRecorder(int rank, int attempt) {
    this.rank = rank;
    this.attempt = attempt;
  }

  /** The rank goes on to another phase of a step. */
  public synchronized void step(long step, String phase) {
    this.step = step;
    this.phase = phase;
    since = System.currentTimeMillis();
  }

  synchronized void began(Object call) {
    collectives++;
    collective = call;
    since = System.currentTimeMillis();
  }

  synchronized void waits(boolean waiting) {
    this.waiting = waiting;
    since = System.currentTimeMillis();
  }

  synchronized void exposed(long nanos) {
    exposedNanos += nanos;
  }

  /** Seconds that this rank has waited for collectives so far: communication that nothing hides. */
  public synchronized double exposedSeconds() {
    return exposedNanos / 1e9;
  }

  /** Where the rank is now. */
  public synchronized FlightRecord record() {
    return new FlightRecord(
        rank,
        attempt,
        ProcessHandle.current().pid(),
        step,
        phase,
        collectives,
        collective.toString(),
        waiting,
        since,
        System.currentTimeMillis());
  }
}
