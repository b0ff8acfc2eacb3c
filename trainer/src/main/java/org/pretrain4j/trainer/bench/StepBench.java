package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.pretrain4j.trainer.bench.BenchReport.Baseline;
import org.pretrain4j.trainer.bench.BenchReport.Drift;
import org.pretrain4j.trainer.bench.MeasuredStep.Sample;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.FusedOperator;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.ModelFlops;

/**
 * Measures a step of a shape, each beside a measurement of the GEMM peak and, if asked, beside the
 * same step computed otherwise.
 *
 * @param shape what to compute
 * @param type what it is computed in
 * @param kernels how the pass is computed
 * @param switchedOff fused operators that are composed; the baseline has none
 * @param checkpointing what of the activations the step keeps; the baseline keeps all
 * @param baseline what it is held against
 * @param repetitions counted steps, after some that are not
 */
public record StepBench(
    Shape shape,
    ScalarType type,
    Kernels kernels,
    Set<FusedOperator> switchedOff,
    ActivationCheckpointing checkpointing,
    Optional<Kernels> baseline,
    int repetitions) {
  private static final int GEMM_SIZE = 2048;

  /** Large enough that a GPU is busy for a millisecond. */
  private static final int GPU_GEMM_SIZE = 8192;

  private static final int GEMMS = 3;

  /** Steps before those that count, in which the vector code is compiled. */
  private static final int WARM_UP = 2;

  /** So many steps tell whether there is a drift; the first of them are left out. */
  private static final int LEAST_FOR_DRIFT = 200;

  private static final int SETTLING = 100;

  /** Measures on the CPU, with all its processors. */
  public BenchReport run() {
    try (ComputeDevice host = ComputeDevice.host(Runtime.getRuntime().availableProcessors())) {
      return run(host);
    }
  }

  /**
   * Measures.
   *
   * @param device stays open
   */
  public BenchReport run(ComputeDevice device) {
    try (NDManager manager = device.manager().newSubManager();
        MeasuredStep step =
            new MeasuredStep(shape, type, kernels, switchedOff, checkpointing, device);
        MeasuredStep other =
            baseline.isEmpty()
                ? null
                : new MeasuredStep(
                    shape, type, baseline.get(), Set.of(), ActivationCheckpointing.NONE, device)) {
      int size = device.gpu().isPresent() ? GPU_GEMM_SIZE : GEMM_SIZE;
      GemmPeak gemm = new GemmPeak(manager, device, type, size);
      return measure(device, step, other, gemm);
    }
  }

  private BenchReport measure(
      ComputeDevice device, MeasuredStep step, MeasuredStep other, GemmPeak gemm) {
    double flops = ModelFlops.perToken(shape.model(), shape.sequenceLength()) * shape.tokens();
    List<Double> seconds = new ArrayList<>();
    List<Double> peaks = new ArrayList<>();
    List<Double> shares = new ArrayList<>();
    List<Double> otherSeconds = new ArrayList<>();
    List<Double> speedups = new ArrayList<>();
    List<Long> resident = new ArrayList<>();
    Map<String, List<Double>> phases = new LinkedHashMap<>();
    double collecting = 0;
    for (int i = -WARM_UP; i < repetitions; i++) {
      double before = gemm.measure(GEMMS);
      double collected = GarbageCollectionTime.seconds();
      Sample sample = step.run();
      double pauses = GarbageCollectionTime.seconds() - collected;
      double peak = Math.max(before, gemm.measure(GEMMS));
      double otherTime = other == null ? Double.NaN : other.run().seconds();
      if (i < 0) {
        continue;
      }
      collecting += pauses;
      seconds.add(sample.seconds());
      peaks.add(peak);
      shares.add(flops / sample.seconds() / peak);
      otherSeconds.add(otherTime);
      speedups.add(otherTime / sample.seconds());
      resident.add(PeakMemory.residentBytes());
      sample
          .phases()
          .forEach(
              (phase, time) -> phases.computeIfAbsent(phase, key -> new ArrayList<>()).add(time));
    }
    Map<String, Double> phaseSeconds = new LinkedHashMap<>();
    phases.forEach((phase, times) -> phaseSeconds.put(phase, median(times)));
    double median = median(seconds);
    return new BenchReport(
        shape.name(),
        type == ScalarType.BFLOAT16 ? "bf16" : "fp32",
        computedBy(),
        nameOf(checkpointing),
        shape.tokens(),
        median,
        shape.tokens() / median,
        median(peaks),
        median(shares),
        flops / shape.tokens(),
        phaseSeconds,
        PeakMemory.bytes(),
        device.gpu().map(gpu -> gpu.driver().usedMemory()).orElse(null),
        collecting,
        drift(seconds, resident),
        baseline.isEmpty()
            ? null
            : new Baseline(
                nameOf(baseline.get()),
                median(otherSeconds),
                shape.tokens() / median(otherSeconds),
                median(speedups)));
  }

  private static Drift drift(List<Double> seconds, List<Long> resident) {
    if (seconds.size() < LEAST_FOR_DRIFT) {
      return null;
    }
    List<Double> settled = seconds.subList(SETTLING, seconds.size());
    int fifth = settled.size() / 5;
    double first = median(settled.subList(0, fifth));
    double last = median(settled.subList(settled.size() - fifth, settled.size()));
    return new Drift(settled.size(), last / first - 1, resident.getLast() - resident.get(SETTLING));
  }

  /** Such as {@code fused without norm, attention}. */
  private String computedBy() {
    return switchedOff.isEmpty()
        ? nameOf(kernels)
        : switchedOff.stream()
            .sorted()
            .map(StepBench::nameOf)
            .collect(Collectors.joining(", ", nameOf(kernels) + " without ", ""));
  }

  private static String nameOf(Enum<?> choice) {
    return choice.name().toLowerCase(Locale.ROOT);
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
