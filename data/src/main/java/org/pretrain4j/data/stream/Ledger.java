package org.pretrain4j.data.stream;

import java.util.List;

/**
 * What was read of each dataset in all steps before one.
 *
 * @param step the first step that is not counted
 */
public record Ledger(long step, List<Entry> entries) {
  /**
   * @param dataset its name
   * @param samples sequences
   * @param tokens of training: samples times sequence length
   * @param epochs passes over the dataset, with fraction
   * @param stageShare share of the samples of the step's stage so far; NaN at its first step
   * @param weight share that the stage's mixture asks for
   */
  public record Entry(
      String dataset, long samples, long tokens, double epochs, double stageShare, double weight) {}

  public Ledger {
    entries = List.copyOf(entries);
  }
}
