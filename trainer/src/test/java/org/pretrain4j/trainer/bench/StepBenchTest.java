package org.pretrain4j.trainer.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.machine.HeapAllocation;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelFlops;

final class StepBenchTest {
  private static final Shape SMALL = shape("small", 32, 64, 64);

  private static Shape shape(String name, int hidden, int sequence, int documents) {
    ModelConfig model =
        new ModelConfig(320, hidden, 3 * hidden, 2, 4, 2, 0, 50_000, 4, 1e-6, 0.02, 8192, true);
    return new Shape(name, name, model, 1, sequence, documents, true, 1);
  }

  /** What malloc has given out: the Java heap, which grows into its limit, is not in it. */
  @SuppressWarnings("restricted")
  private static long nativeBytes() throws Throwable {
    Linker linker = Linker.nativeLinker();
    MemoryLayout sizes = MemoryLayout.sequenceLayout(10, ValueLayout.JAVA_LONG);
    MethodHandle mallinfo2 =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("mallinfo2"),
            FunctionDescriptor.of(MemoryLayout.structLayout(sizes)));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = (MemorySegment) mallinfo2.invokeExact((SegmentAllocator) arena);
      long mapped = info.getAtIndex(ValueLayout.JAVA_LONG, 4);
      return mapped + info.getAtIndex(ValueLayout.JAVA_LONG, 7);
    }
  }

  private static BenchReport measure(
      Shape shape, Optional<Kernels> baseline, int repetitions, ComputeDevice device) {
    return new StepBench(
            shape,
            ScalarType.BFLOAT16,
            Kernels.FUSED,
            Set.of(),
            ActivationCheckpointing.NONE,
            baseline,
            repetitions)
        .run(device);
  }

  /** 38 million parameters with the optimizer take half a gigabyte, 50 thousand next to nothing. */
  @Test
  void thePeakMemoryIsTheStepsOwnAndNotOfWhatWasMeasuredBefore() {
    try (ComputeDevice device = ComputeDevice.host(1)) {
      BenchReport first = measure(shape("large", 1280, 64, 64), Optional.empty(), 1, device);
      BenchReport second = measure(SMALL, Optional.empty(), 1, device);
      assumeTrue(first.peakMemoryOf().equals(BenchReport.OF_STEP), "the system does not tell");
      assertTrue(
          second.peakMemoryBytes() < first.peakMemoryBytes() - 250_000_000,
          () -> first.peakMemoryBytes() + " bytes, then " + second.peakMemoryBytes());
      // A baseline that is as large lies beside the step only when that has been measured.
      BenchReport beside =
          measure(shape("large", 1280, 64, 64), Optional.of(Kernels.COMPOSED), 1, device);
      assertEquals(first.peakMemoryBytes(), beside.peakMemoryBytes(), 150e6);
    }
  }

  @Test
  void allMicroBatchesOfAStepAreRunAndCounted() {
    Shape three = new Shape("three", "three", SMALL.model(), 1, 64, 64, true, 3);
    try (ComputeDevice device = ComputeDevice.host(1)) {
      assertEquals(3 * lossOfAStep(SMALL, device), lossOfAStep(three, device), 1e-6);
      assertEquals(192, measure(three, Optional.empty(), 1, device).tokens());
    }
  }

  private static double lossOfAStep(Shape shape, ComputeDevice device) {
    try (MeasuredStep step =
        new MeasuredStep(
            shape,
            ScalarType.BFLOAT16,
            Kernels.FUSED,
            Set.of(),
            ActivationCheckpointing.NONE,
            device)) {
      return step.run().loss();
    }
  }

  @Test
  void attentionThatPackedRowsSkipIsNotCounted() {
    Shape one = shape("one", 32, 64, 64);
    assertEquals(ModelFlops.perToken(one.model(), 64), one.flopsPerToken());
    // Two documents of 24 and one of 16: (2 * 24 * 24 + 16 * 16) / 64.
    Shape packed = shape("packed", 32, 64, 24);
    assertEquals(ModelFlops.perToken(packed.model(), 22), packed.flopsPerToken());
  }

  @Test
  void theFastestStepIsHeldAgainstTheBestPeakOfAll() {
    StepSamples samples = new StepSamples(12);
    samples.add(new MeasuredStep.Sample(3, Map.of(), 0), 10, 6, 0, 100);
    samples.add(new MeasuredStep.Sample(1, Map.of(), 0), 16, 6, 0.25, 300);
    samples.add(new MeasuredStep.Sample(2, Map.of(), 0), 24, 6, 0.5, 200);
    assertEquals(24, samples.bestPeakFlops());
    assertEquals(12.0 / 24, samples.fastestShareOfPeak());
    assertEquals(12.0 / 3 / 10, samples.shareOfPeak(), "the median of 0.4, 0.75 and 0.25");
    assertEquals(0.75, samples.garbageCollectionSeconds());
    assertEquals(0.5, samples.mostGarbageCollectionSeconds());
    assertEquals(200, samples.heapBytesPerStep());
  }

  @Test
  void aDriftIsTheDifferenceOfMediansNotOfSingleSamples() {
    List<Double> seconds = new ArrayList<>(Collections.nCopies(600, 1.0));
    List<Double> resident = new ArrayList<>(Collections.nCopies(600, 1e9));
    for (int step : new int[] {100, 300, 599}) {
      seconds.set(step, 9.0);
      resident.set(step, 5e9);
    }
    assertEquals(new BenchReport.Drift(500, 0, 0), StepSamples.drift(seconds, resident));
    for (int step = 0; step < 600; step++) {
      seconds.set(step, 1 + step * 1e-3);
      resident.set(step, 1e9 + step * 4096.0);
    }
    BenchReport.Drift drift = StepSamples.drift(seconds, resident);
    assertEquals(1.5495 / 1.1495 - 1, drift.stepTime(), 1e-9);
    assertEquals(400 * 4096, drift.residentBytes());
    assertNull(StepSamples.drift(seconds.subList(0, 199), resident));
  }

  /**
   * A machine that others use may be twice as slow for some seconds, and its compilers late; a
   * slope or a leak is there each time.
   */
  @Test
  void manyStepsTakeNeitherMoreTimeNorMoreMemory() throws Throwable {
    ComputeThreads.set(1);
    BenchReport.Drift drift = driftOfManySteps();
    for (int again = 0; again < 3 && !isFlat(drift); again++) {
      System.out.println("measured again after " + drift);
      drift = driftOfManySteps();
    }
    assertTrue(isFlat(drift), drift.toString());
  }

  /** 880 steps lie between the fifths: 8 KB a step. */
  private static boolean isFlat(BenchReport.Drift drift) {
    return drift.stepTime() < 0.5 && drift.residentBytes() < 7_000_000;
  }

  private static BenchReport.Drift driftOfManySteps() throws Throwable {
    List<Double> seconds = new ArrayList<>();
    List<Double> bytes = new ArrayList<>();
    try (ComputeDevice device = ComputeDevice.host(1);
        MeasuredStep step =
            new MeasuredStep(
                SMALL,
                ScalarType.BFLOAT16,
                Kernels.FUSED,
                Set.of(),
                ActivationCheckpointing.NONE,
                device)) {
      for (int i = 0; i < 1200; i++) {
        seconds.add(step.run().seconds());
        bytes.add((double) nativeBytes());
      }
    }
    return StepSamples.drift(seconds, bytes);
  }

  /**
   * What a step takes from the Java heap is the collector's work later. The compilers need some
   * hundred steps until vectors stay in registers; then half of the steps and more take less than
   * one activation of the shape has: 512 tokens of 256 columns, in float32.
   */
  @Test
  void aStepTakesLittleFromTheJavaHeapOnceItsCodeIsCompiled() {
    long activation = 512L * 256 * Float.BYTES;
    List<Double> bytes = new ArrayList<>();
    try (ComputeDevice device = ComputeDevice.host(1);
        MeasuredStep step =
            new MeasuredStep(
                shape("wide", 256, 512, 200),
                ScalarType.BFLOAT16,
                Kernels.FUSED,
                Set.of(),
                ActivationCheckpointing.NONE,
                device)) {
      HeapAllocation heap = new HeapAllocation();
      do {
        heap.takeBytes();
        step.run();
        bytes.add((double) heap.takeBytes());
      } while (bytes.size() < 4000 && medianOfLast(bytes) >= activation);
    }
    double steady = medianOfLast(bytes);
    System.out.printf(
        "first %,.0f bytes, after %d steps %,.0f%n", bytes.getFirst(), bytes.size(), steady);
    assertTrue(steady < activation, steady + " bytes a step");
  }

  private static double medianOfLast(List<Double> values) {
    int size = values.size();
    return size < 20
        ? Double.POSITIVE_INFINITY
        : StepSamples.median(values.subList(size - 20, size));
  }
}
