package org.pretrain4j.trainer.bench;

import ai.djl.ndarray.NDManager;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.pretrain4j.trainer.bench.BenchReport.Baseline;
import org.pretrain4j.trainer.bench.MeasuredStep.Sample;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.device.Cores;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.machine.GarbageCollectionTime;
import org.pretrain4j.trainer.machine.GemmPeak;
import org.pretrain4j.trainer.machine.HeapAllocation;
import org.pretrain4j.trainer.machine.PeakMemory;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.FusedOperator;
import org.pretrain4j.trainer.model.Kernels;

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

  /** Measures on the CPU, with all its cores. */
  public BenchReport run() {
    try (ComputeDevice host = ComputeDevice.host(Cores.available())) {
      return run(host);
    }
  }

  /**
   * Measures, with as many threads as the device has on the host. The step's memory is looked at
   * before there is a baseline beside it.
   *
   * @param device stays open
   */
  public BenchReport run(ComputeDevice device) {
    ComputeThreads.set(device.pool().threads());
    boolean alone = PeakMemory.restart();
    try (NDManager manager = device.manager().newSubManager();
        MeasuredStep step =
            new MeasuredStep(shape, type, kernels, switchedOff, checkpointing, device)) {
      int size = device.gpu().isPresent() ? GPU_GEMM_SIZE : GEMM_SIZE;
      GemmPeak gemm = new GemmPeak(manager, device, type, size);
      for (int i = 0; i < WARM_UP; i++) {
        gemm.measure(GEMMS);
        step.run();
      }
      long memory = PeakMemory.bytes();
      StepSamples samples = new StepSamples(shape.flopsPerToken() * shape.tokensOfStep());
      if (baseline.isEmpty()) {
        measure(step, null, gemm, samples);
        memory = PeakMemory.bytes();
      } else {
        try (MeasuredStep other =
            new MeasuredStep(
                shape, type, baseline.get(), Set.of(), ActivationCheckpointing.NONE, device)) {
          for (int i = 0; i < WARM_UP; i++) {
            other.run();
          }
          measure(step, other, gemm, samples);
        }
      }
      return report(device, samples, memory, alone ? BenchReport.OF_STEP : BenchReport.OF_PROCESS);
    }
  }

  private void measure(MeasuredStep step, MeasuredStep other, GemmPeak gemm, StepSamples samples) {
    GarbageCollectionTime collector = new GarbageCollectionTime();
    HeapAllocation heap = new HeapAllocation();
    for (int i = 0; i < repetitions; i++) {
      double before = gemm.measure(GEMMS);
      collector.takeSeconds();
      heap.takeBytes();
      Sample sample = step.run();
      long allocated = heap.takeBytes();
      double pauses = collector.takeSeconds();
      double peak = Math.max(before, gemm.measure(GEMMS));
      double otherTime = other == null ? Double.NaN : other.run().seconds();
      samples.add(sample, peak, otherTime, pauses, allocated);
    }
  }

  private BenchReport report(
      ComputeDevice device, StepSamples samples, long memory, String memoryOf) {
    return new BenchReport(
        shape.name(),
        type == ScalarType.BFLOAT16 ? "bf16" : "fp32",
        computedBy(),
        nameOf(checkpointing),
        shape.tokensOfStep(),
        samples.stepSeconds(),
        shape.tokensOfStep() / samples.stepSeconds(),
        samples.gemmPeakFlops(),
        samples.shareOfPeak(),
        samples.bestPeakFlops(),
        samples.fastestShareOfPeak(),
        shape.flopsPerToken(),
        samples.phaseSeconds(),
        memory,
        memoryOf,
        device.gpu().map(gpu -> gpu.driver().usedMemory()).orElse(null),
        samples.garbageCollectionSeconds(),
        samples.mostGarbageCollectionSeconds(),
        samples.heapBytesPerStep(),
        samples.drift(),
        baseline
            .map(
                chosen ->
                    new Baseline(
                        nameOf(chosen),
                        samples.baselineSeconds(),
                        shape.tokensOfStep() / samples.baselineSeconds(),
                        samples.speedup()))
            .orElse(null));
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
}
