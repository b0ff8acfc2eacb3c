package org.pretrain4j.trainer.parallel.faults;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Finds the rank that the others wait for, from the time that each rank spends on its own work in
 * each step, over a window of steps. Time spent waiting for collectives is no part of it: with it
 * the sum would be equal on all ranks, however slow one of them is.
 */
public final class Stragglers {
  /**
   * A rank that lags.
   *
   * @param phase in which it loses most
   * @param seconds a step of this rank, median over the window
   * @param usual a step, median over ranks of the same
   * @param worst 99th percentile of this rank
   * @param waits seconds a step that this rank waits for others, median over the window
   * @param othersWait median over ranks of the same
   */
  public record Straggler(
      int rank,
      String phase,
      double phaseSeconds,
      double seconds,
      double usual,
      double worst,
      double waits,
      double othersWait) {
    /** One line. */
    public String describe() {
      return "rank %d lags: %.3f s of work a step (99th percentile %.3f s), the others %.3f s; most of it in %s (%.3f s); it waits %.3f s for others, they %.3f s"
          .formatted(rank, seconds, worst, usual, phase, phaseSeconds, waits, othersWait);
    }
  }

  private final List<String> phases;
  private final double factor;
  private final double[][][] window;
  private final double[][] waiting;
  private int steps;

  /**
   * An empty window.
   *
   * @param phases names of the phases of own work: data, forward, backward, optimizer
   * @param window number of steps to look at
   * @param factor a rank lags if it takes this many times the median of all ranks
   */
  public Stragglers(int worldSize, List<String> phases, int window, double factor) {
    this.phases = List.copyOf(phases);
    this.factor = factor;
    this.window = new double[window][worldSize][phases.size()];
    this.waiting = new double[window][worldSize];
  }

  /**
   * Notes one step.
   *
   * @param seconds [rank][phase] of own work
   * @param waited [rank] for others
   */
  public void add(double[][] seconds, double[] waited) {
    waiting[steps % window.length] = waited.clone();
    double[][] slot = window[steps % window.length];
    for (int rank = 0; rank < slot.length; rank++) {
      System.arraycopy(seconds[rank], 0, slot[rank], 0, phases.size());
    }
    steps++;
  }

  /** The slowest rank, if it lags; only once the window is full. */
  public Optional<Straggler> find() {
    if (steps < window.length) {
      return Optional.empty();
    }
    int ranks = window[0].length;
    double[] medians = new double[ranks];
    for (int rank = 0; rank < ranks; rank++) {
      medians[rank] = percentile(totals(rank), 0.5);
    }
    double usual = percentile(medians, 0.5);
    int slowest = 0;
    for (int rank = 1; rank < ranks; rank++) {
      slowest = medians[rank] > medians[slowest] ? rank : slowest;
    }
    if (medians[slowest] <= factor * usual) {
      return Optional.empty();
    }
    int worstPhase = 0;
    double worstLoss = Double.NEGATIVE_INFINITY;
    for (int phase = 0; phase < phases.size(); phase++) {
      double[] all = new double[ranks];
      for (int rank = 0; rank < ranks; rank++) {
        all[rank] = percentile(times(rank, phase), 0.5);
      }
      double loss = all[slowest] - percentile(all, 0.5);
      if (loss > worstLoss) {
        worstLoss = loss;
        worstPhase = phase;
      }
    }
    return Optional.of(
        new Straggler(
            slowest,
            phases.get(worstPhase),
            percentile(times(slowest, worstPhase), 0.5),
            medians[slowest],
            usual,
            percentile(totals(slowest), 0.99),
            waits(slowest),
            percentile(IntStream.range(0, ranks).mapToDouble(this::waits).toArray(), 0.5)));
  }

  private double waits(int rank) {
    return percentile(Arrays.stream(waiting).mapToDouble(step -> step[rank]).toArray(), 0.5);
  }

  private double[] totals(int rank) {
    return Arrays.stream(window).mapToDouble(step -> Arrays.stream(step[rank]).sum()).toArray();
  }

  private double[] times(int rank, int phase) {
    return Arrays.stream(window).mapToDouble(step -> step[rank][phase]).toArray();
  }

  /** The value at a fraction of the sorted values, the lower one between two. */
  static double percentile(double[] values, double fraction) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[(int) Math.floor(fraction * (sorted.length - 1))];
  }
}
