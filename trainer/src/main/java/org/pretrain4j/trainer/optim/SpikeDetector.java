package org.pretrain4j.trainer.optim;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/**
 * Tells whether a value (a loss, a gradient norm) is far above those of the steps before: by how
 * many standard deviations of a window of the latest values it exceeds their mean.
 *
 * <p>A value that isn't finite never enters the window, as it would blind the detector until it
 * leaves. An outlier enters as the largest value that would have passed, so that it can't hide the
 * next one, and yet a lasting change of level is accepted in the end. Everything is computed from
 * the window in order: who has the same window and value comes to the same result.
 */
public final class SpikeDetector {
  /** A window of equal values has no scale of its own; this share of the mean stands in. */
  private static final double LEAST_DEVIATION = 1e-6;

  private final int size;
  private final double threshold;
  private final Deque<Double> window = new ArrayDeque<>();

  /**
   * An empty window: nothing is an outlier until it is half full.
   *
   * @param size number of values in the window, at least 2
   * @param threshold standard deviations above the mean from which a value is an outlier
   */
  public SpikeDetector(int size, double threshold) {
    if (size < 2 || !(threshold > 0)) {
      throw new IllegalArgumentException("window " + size + ", threshold " + threshold);
    }
    this.size = size;
    this.threshold = threshold;
  }

  /**
   * Standard deviations by which the value exceeds the mean; 0 while the window is less than half
   * full; infinite if the value is not finite.
   */
  public double score(double value) {
    if (!Double.isFinite(value)) {
      return Double.POSITIVE_INFINITY;
    }
    return isReady() ? (value - mean()) / deviation() : 0;
  }

  /** Puts the value into the window, if it is finite; returns whether it is an outlier. */
  public boolean observe(double value) {
    if (!Double.isFinite(value)) {
      return true;
    }
    boolean outlier = score(value) > threshold;
    double entering = outlier ? mean() + threshold * deviation() : value;
    window.addLast(entering);
    if (window.size() > size) {
      window.removeFirst();
    }
    return outlier;
  }

  /** The window, oldest value first, for a checkpoint. */
  public List<Double> window() {
    return List.copyOf(window);
  }

  /**
   * Takes the window of a checkpoint; of a longer one the latest values.
   *
   * @throws IllegalArgumentException if a value isn't finite
   */
  public void restore(List<Double> saved) {
    if (!saved.stream().allMatch(Double::isFinite)) {
      throw new IllegalArgumentException("a window of finite values only: " + saved);
    }
    window.clear();
    window.addAll(saved.subList(Math.max(0, saved.size() - size), saved.size()));
  }

  /** Empties the window, as where the data changes its nature. */
  public void clear() {
    window.clear();
  }

  private boolean isReady() {
    return window.size() >= Math.max(2, size / 2);
  }

  private double mean() {
    double sum = 0;
    for (double value : window) {
      sum += value;
    }
    return sum / window.size();
  }

  private double deviation() {
    double mean = mean();
    double squares = 0;
    for (double value : window) {
      squares += (value - mean) * (value - mean);
    }
    double least = Math.max(LEAST_DEVIATION * Math.abs(mean), Double.MIN_NORMAL);
    return Math.max(Math.sqrt(squares / window.size()), least);
  }
}
