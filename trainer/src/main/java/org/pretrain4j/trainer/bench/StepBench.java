package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.pretrain4j.trainer.fused.Passes;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelFlops;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.model.Phase;
import org.pretrain4j.trainer.model.TrainingPass;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.parallel.SoloCollectives;
import org.pretrain4j.trainer.sharding.Buckets;
import org.pretrain4j.trainer.sharding.GradientBuffer;
import org.pretrain4j.trainer.sharding.ParameterBuffer;

/** Measures a step of a shape, each beside a measurement of the GEMM peak. */
public final class StepBench {
  private static final int GEMM_SIZE = 2048;

  /** Steps before those that count, in which the vector code is compiled. */
  private static final int WARM_UP = 2;

  private StepBench() {}

  /**
   * Measures.
   *
   * @param repetitions counted ones, after some that are not
   * @param kernels how the pass is computed
   */
  public static BenchReport run(Shape shape, int repetitions, ScalarType type, Kernels kernels) {
    int threads = Runtime.getRuntime().availableProcessors();
    try (WorkerPool pool = new WorkerPool(threads);
        NDManager manager = NDManager.newBaseManager("PyTorch")) {
      Buckets buckets = Buckets.of(ModelLayout.of(shape.model()), 1, 25_000_000);
      ParameterBuffer weights = new ParameterBuffer(manager, buckets, type);
      weights.initialize(new ParameterInitializer(shape.model(), 6));
      Collectives alone = new SoloCollectives();
      GradientBuffer gradients =
          GradientBuffer.of(GradientSharding.FULL, manager, buckets, alone, 1, pool);
      GemmPeak gemm = new GemmPeak(manager, type, GEMM_SIZE);
      MicroBatch batch = shape.randomBatch(6);
      double flops = ModelFlops.perToken(shape.model(), shape.sequenceLength()) * shape.tokens();
      List<Double> seconds = new ArrayList<>();
      List<Double> peaks = new ArrayList<>();
      List<Double> shares = new ArrayList<>();
      Map<Phase, List<Double>> phases = new LinkedHashMap<>();
      Map<String, Double> phaseSeconds = new LinkedHashMap<>();
      try (TrainingPass pass =
          Passes.of(kernels, manager, shape.model(), weights, type, shape.sequenceLength(), pool)) {
        gemm.measure(3);
        BenchOptimizer optimizer =
            shape.withOptimizer()
                ? new BenchOptimizer(manager, shape, buckets, gradients, weights, pool, alone)
                : null;
        List<Double> updates = new ArrayList<>();
        for (int i = -WARM_UP; i < repetitions; i++) {
          double before = gemm.measure(3);
          gradients.startStep(1);
          long start = System.nanoTime();
          pass.run(batch, gradients);
          gradients.finishStep();
          double update = optimizer == null ? 0 : optimizer.run();
          double elapsed = (System.nanoTime() - start) * 1e-9;
          double peak = Math.max(before, gemm.measure(3));
          Map<Phase, Double> times = pass.clock().drain();
          if (i >= 0) {
            updates.add(update);
            seconds.add(elapsed);
            peaks.add(peak);
            shares.add(flops / elapsed / peak);
            times.forEach(
                (phase, time) -> phases.computeIfAbsent(phase, key -> new ArrayList<>()).add(time));
          }
        }
        phases.forEach(
            (phase, times) ->
                phaseSeconds.put(phase.name().toLowerCase(Locale.ROOT), median(times)));
        if (optimizer != null) {
          phaseSeconds.put("optimizer", median(updates));
        }
      }
      double step = median(seconds);
      return new BenchReport(
          shape.name(),
          type == ScalarType.BFLOAT16 ? "bf16" : "fp32",
          kernels.name().toLowerCase(Locale.ROOT),
          shape.tokens(),
          step,
          shape.tokens() / step,
          median(peaks),
          median(shares),
          flops / shape.tokens(),
          phaseSeconds,
          PeakMemory.bytes());
    }
  }

  static double median(List<Double> values) {
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    int middle = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(middle)
        : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
  }
}
