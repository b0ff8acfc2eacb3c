package org.pretrain4j.trainer.sharding;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.checkpoints.StateSource;
import org.pretrain4j.trainer.cuda.EmulatedLauncher;
import org.pretrain4j.trainer.cuda.HostMemoryGpu;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.WeightDecayRange;
import org.pretrain4j.trainer.parallel.ElementType;
import org.pretrain4j.trainer.parallel.FlatBuffer;

/** The optimizer's shard on a GPU, by the emulation of its kernels, against the host's. */
final class CudaShardOperatorsTest {
  private static final long SEED = 43;

  /** More than a block of the norm, and no multiple of a vector. */
  private static final int ELEMENTS = 70_001;

  private final HostMemoryGpu gpu = new HostMemoryGpu();
  private final Arena arena = Arena.ofShared();
  private NDManager manager;
  private WorkerPool pool;
  private ShardOperators host;
  private ShardOperators device;
  private Random random;

  @BeforeEach
  void open() {
    System.out.println("seed " + SEED);
    random = new Random(SEED);
    manager = Managers.host();
    pool = new WorkerPool(1);
    host = new HostShardOperators(pool);
    device =
        new CudaShardOperators(manager, gpu, new EmulatedLauncher(EmulatedLauncher.Order.SHUFFLED));
  }

  @AfterEach
  void close() {
    device.close();
    host.close();
    pool.close();
    manager.close();
    arena.close();
    assertEquals(0, gpu.live());
  }

  private FlatBuffer floats(double scale) {
    MemorySegment memory = arena.allocate((long) ELEMENTS * Float.BYTES, 64);
    for (int i = 0; i < ELEMENTS; i++) {
      memory.setAtIndex(
          ValueLayout.JAVA_FLOAT, i, (float) (scale * Math.abs(random.nextGaussian())));
    }
    return FlatBuffer.of(memory, ElementType.FLOAT32);
  }

  private FlatBuffer rounded() {
    MemorySegment memory = arena.allocate((long) ELEMENTS * Short.BYTES, 64);
    for (int i = 0; i < ELEMENTS; i++) {
      int bits = Float.floatToRawIntBits((float) random.nextGaussian());
      memory.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >> 16));
    }
    return FlatBuffer.of(memory, ElementType.BFLOAT16);
  }

  private FlatBuffer copy(FlatBuffer buffer) {
    MemorySegment memory = arena.allocate(buffer.bytes(), 64);
    memory.copyFrom(buffer.segment());
    return FlatBuffer.of(memory, buffer.type());
  }

  private static byte[] bits(FlatBuffer buffer) {
    return buffer.segment().toArray(ValueLayout.JAVA_BYTE);
  }

  @Test
  void anUpdateHasTheBitsOfTheHosts() {
    ShardOperators.State one =
        new ShardOperators.State(
            floats(0.1), floats(0.01), floats(0.001), floats(1), Optional.of(rounded()));
    ShardOperators.State other =
        new ShardOperators.State(
            copy(one.master()),
            copy(one.expAvg()),
            copy(one.expAvgSq()),
            copy(one.gradient()),
            one.bfloat16().map(this::copy));
    int cut = 12_345;
    List<WeightDecayRange> decays =
        List.of(
            new WeightDecayRange(new FlatRange(0, cut), 0.1),
            new WeightDecayRange(new FlatRange(cut, ELEMENTS), 0));
    AdamWSettings settings = new AdamWSettings(0.9, 0.95, 1e-8);
    for (long update = 1; update <= 3; update++) {
      host.update(settings, one, decays, update, 1e-3, 0.3);
      device.update(settings, other, decays, update, 1e-3, 0.3);
    }
    assertArrayEquals(bits(one.master()), bits(other.master()));
    assertArrayEquals(bits(one.expAvg()), bits(other.expAvg()));
    assertArrayEquals(bits(one.expAvgSq()), bits(other.expAvgSq()));
    assertArrayEquals(bits(one.bfloat16().orElseThrow()), bits(other.bfloat16().orElseThrow()));
    List<WeightDecayRange> tooFew = decays.subList(0, 1);
    assertThrows(
        IllegalArgumentException.class, () -> device.update(settings, other, tooFew, 4, 1e-3, 0.3));
  }

  @Test
  void sumsHaveTheBitsOfTheHostsAndTheNormAgrees() {
    FlatBuffer one = floats(1);
    FlatBuffer other = copy(one);
    for (FlatBuffer addend : List.of(floats(2), rounded())) {
      host.add(one, addend);
      device.add(other, addend);
    }
    assertArrayEquals(bits(one), bits(other));
    List<FlatBuffer> parts = List.of(one.slice(0, 66_000), one.slice(66_000, ELEMENTS - 66_000));
    double expected = host.sumOfSquares(parts);
    assertEquals(expected, device.sumOfSquares(parts), 1e-12 * expected);
    assertEquals(expected, device.sumOfSquares(parts), 1e-12 * expected, "nothing is left over");
    other.segment().setAtIndex(ValueLayout.JAVA_FLOAT, 17, Float.NaN);
    assertTrue(Double.isNaN(device.sumOfSquares(List.of(other))));
  }

  @Test
  void valuesComeFromTheHostAndGoBackToIt() {
    FlatBuffer values = floats(1);
    byte[] before = bits(values);
    Consumer<MemorySegment> reversed =
        memory -> {
          for (int i = 0; i < before.length; i++) {
            memory.set(ValueLayout.JAVA_BYTE, i, before[before.length - 1 - i]);
          }
        };
    device.fill(values, reversed);
    StateSource source = device.source(values);
    assertEquals(values.bytes(), source.bytes());
    MemorySegment piece = arena.allocate(1000);
    source.copyTo(4 * 99, piece);
    for (int i = 0; i < 1000; i++) {
      assertEquals(before[before.length - 1 - 4 * 99 - i], piece.get(ValueLayout.JAVA_BYTE, i));
    }
  }
}
