package org.pretrain4j.data.stream;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** The published plan of the 3B: three stages, 576 rows of 4096 tokens a step. */
final class SmolLm3Plan {
  static final int ROWS = 576;
  static final long[] STEPS = {3_450_000, 748_000, 522_000};
  static final double[][] STAGES = {
    {
      0.333, 0.37, 0.02, 0.001, 0, 0.004, 0.016, 0.02, 0.022, 0.0105, 0.01, 0.01, 0.01, 0.003,
      0.00325, 0.00325, 0.00325, 0.00325, 0.00325, 0.00225, 0, 0.01, 0.017, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0.025, 0.013, 0.013, 0.007, 0.018, 0.006, 0.006, 0.003, 0.001, 0.004, 0.0008, 0.005,
      0.006, 0.0008, 0.0005, 0.0007, 0.006, 0.0005, 0.0055, 0.0032, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0
    },
    {
      0.3, 0.33, 0.016, 0.001, 0, 0.002, 0.016, 0.02, 0.0232, 0.0105, 0.01, 0.01, 0.01, 0.002,
      0.00325, 0.00325, 0.00325, 0.00325, 5e-05, 0.00225, 0, 0.01, 0.01, 0.01, 0.02, 0.02, 0.0008,
      0.02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.003, 0.001, 0, 0.0002, 0, 0.00614, 0.0008,
      0.0005, 0.0001, 0.0114, 0.0005, 0.01, 0.004, 0.025, 0.01725, 0.01625, 0.007, 0.018, 0.006,
      0.004, 0.006, 0.00611, 0, 0, 0, 0, 0, 0, 0, 0, 0
    },
    {
      0.2, 0.3, 0.002, 0.0002, 0.004, 0.001, 0.018, 0.022, 0.023, 0.0125, 0.0045, 0.01, 0.01, 0.009,
      0.0032, 0.0032, 0.0032, 0.0032, 5e-05, 0.0022, 0.008, 0.002, 0.002, 0.02, 0.025, 0.014, 0.002,
      0.05, 0.005, 0.005, 0.003, 0.003, 0.0004, 0.0002, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 0.005, 0.0006, 0.012, 0.004, 0.07, 0.018, 0.018, 0.008, 0.044, 0.006, 0.006, 0.013, 0.005,
      0.003, 0.002, 0.001, 0.0102, 0.001, 0.0005, 0.006, 0.0005, 0.001
    },
  };

  private SmolLm3Plan() {}

  static List<String> datasets() {
    return IntStream.range(0, STAGES[0].length).mapToObj(i -> "d" + i).toList();
  }

  static StagePlan plan() {
    return new StagePlan(
        datasets(), ROWS, IntStream.range(0, 3).mapToObj(SmolLm3Plan::stage).toList());
  }

  private static Stage stage(int number) {
    Map<String, Double> mixture = new LinkedHashMap<>();
    for (int i = 0; i < STAGES[number].length; i++) {
      if (STAGES[number][i] > 0) {
        mixture.put("d" + i, STAGES[number][i]);
      }
    }
    return new Stage("stage" + (number + 1), STEPS[number], mixture);
  }
}
