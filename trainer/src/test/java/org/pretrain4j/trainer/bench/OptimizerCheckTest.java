package org.pretrain4j.trainer.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.pretrain4j.checkpoints.StateSource;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.WeightDecayRange;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.sharding.HostShardOperators;
import org.pretrain4j.trainer.sharding.ShardOperators;

/** The host's optimizer against one that does a thing wrong. */
final class OptimizerCheckTest {
  private static final long SEED = 12;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;

  private enum Fault {
    NONE,
    FORGETS_FIRST_MOMENT,
    FORGETS_SECOND_MOMENT,
    LEAVES_FIRST_MOMENT,
    LEAVES_SECOND_MOMENT,
    SPOILS_ONE_FIRST_MOMENT,
    SPOILS_ONE_SECOND_MOMENT,
    WRONG_FIRST_BETA,
    WRONG_SECOND_BETA,
    COUNTS_FROM_ZERO,
    DECAYS_ALL,
    IGNORES_THE_SCALE,
    LEAVES_ROUNDED,
    ROUNDS_DOWN,
    SQUARES_ONE_PART
  }

  private static final class FaultyOperators implements ShardOperators {
    private final ShardOperators right;
    private final Fault fault;

    FaultyOperators(ShardOperators right, Fault fault) {
      this.right = right;
      this.fault = fault;
    }

    private boolean is(Fault one) {
      return fault == one;
    }

    @Override
    public void update(
        AdamWSettings settings,
        State state,
        List<WeightDecayRange> decays,
        long update,
        double learningRate,
        double gradientScale) {
      MemorySegment first = state.expAvg().segment();
      MemorySegment second = state.expAvgSq().segment();
      MemorySegment rounded = state.bfloat16().orElseThrow().segment();
      if (is(Fault.FORGETS_FIRST_MOMENT)) {
        first.fill((byte) 0);
      } else if (is(Fault.FORGETS_SECOND_MOMENT)) {
        second.fill((byte) 0);
      }
      float[] oldFirst = first.toArray(FLOAT);
      float[] oldSecond = second.toArray(FLOAT);
      short[] oldRounded = rounded.toArray(SHORT);
      right.update(
          new AdamWSettings(
              is(Fault.WRONG_FIRST_BETA) ? 0.91 : settings.beta1(),
              is(Fault.WRONG_SECOND_BETA) ? 0.951 : settings.beta2(),
              settings.epsilon()),
          state,
          is(Fault.DECAYS_ALL)
              ? decays.stream().map(d -> new WeightDecayRange(d.range(), 0.1)).toList()
              : decays,
          is(Fault.COUNTS_FROM_ZERO) ? update - 1 : update,
          learningRate,
          is(Fault.IGNORES_THE_SCALE) ? 1 : gradientScale);
      switch (fault) {
        case LEAVES_FIRST_MOMENT -> first.copyFrom(MemorySegment.ofArray(oldFirst));
        case LEAVES_SECOND_MOMENT -> second.copyFrom(MemorySegment.ofArray(oldSecond));
        case SPOILS_ONE_FIRST_MOMENT -> first.setAtIndex(FLOAT, 7, -first.getAtIndex(FLOAT, 7));
        case SPOILS_ONE_SECOND_MOMENT -> second.setAtIndex(FLOAT, 7, Float.NaN);
        case LEAVES_ROUNDED -> rounded.copyFrom(MemorySegment.ofArray(oldRounded));
        case ROUNDS_DOWN -> {
          MemorySegment master = state.master().segment();
          for (int i = 0; i < oldRounded.length; i++) {
            int bits = Float.floatToRawIntBits(master.getAtIndex(FLOAT, i));
            rounded.setAtIndex(SHORT, i, (short) (bits >>> 16));
          }
        }
        default -> {}
      }
    }

    @Override
    public double sumOfSquares(List<FlatBuffer> parts) {
      return right.sumOfSquares(is(Fault.SQUARES_ONE_PART) ? parts.subList(1, 2) : parts);
    }

    @Override
    public void add(FlatBuffer sum, FlatBuffer addend) {
      right.add(sum, addend);
    }

    @Override
    public void fill(FlatBuffer target, Consumer<MemorySegment> values) {
      right.fill(target, values);
    }

    @Override
    public StateSource source(FlatBuffer values) {
      return right.source(values);
    }

    @Override
    public void close() {}
  }

  private static OptimizerCheck.Report check(Fault fault) {
    Random random = new Random(SEED);
    float[] small = new float[129];
    float[] large = new float[10_007];
    for (int i = 0; i < large.length; i++) {
      large[i] = i % 3 == 0 ? 0 : (float) random.nextGaussian();
    }
    for (int i = 0; i < small.length; i++) {
      small[i] = (float) (1e-3 * random.nextGaussian());
    }
    try (WorkerPool pool = new WorkerPool(1);
        NDManager manager = Managers.host();
        ShardOperators host = new HostShardOperators(pool)) {
      return new OptimizerCheck(
              new OptimizerCheck.Place(host, manager),
              new OptimizerCheck.Place(new FaultyOperators(host, fault), manager),
              0.01)
          .run(List.of(large, small));
    }
  }

  @Test
  void theHostsOptimizerIsExactAgainstItself() {
    System.out.println("seed " + SEED);
    OptimizerCheck.Report report = check(Fault.NONE);
    assertEquals(OptimizerCheck.Report.EXACT, report);
    assertTrue(report.passes());
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void oneWrongThingFailsAndIsSaid(Fault fault) {
    OptimizerCheck.Report report = check(fault);
    boolean squares = fault == Fault.SQUARES_ONE_PART;
    boolean rounding = fault == Fault.LEAVES_ROUNDED || fault == Fault.ROUNDS_DOWN;
    assertFalse(report.passes(), report.toString());
    assertEquals(
        squares, !(report.squaresError() <= OptimizerCheck.SQUARES_TOLERANCE), report.toString());
    assertEquals(rounding, report.wrongRoundings() > 0, report.toString());
    assertEquals(
        !squares && !rounding,
        !(report.updateError() <= OptimizerCheck.UPDATE_TOLERANCE),
        report.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "1e-7, 0, 1e-12, true",
    "1e-5, 0, 0, false",
    "NaN, 0, 0, false",
    "0, 1, 0, false",
    "0, 0, 1e-7, false",
    "0, 0, NaN, false"
  })
  void whatIsOutsideOfAToleranceOrNotANumberFails(
      double update, long roundings, double squares, boolean passes) {
    assertEquals(passes, new OptimizerCheck.Report(update, roundings, squares).passes());
  }
}
