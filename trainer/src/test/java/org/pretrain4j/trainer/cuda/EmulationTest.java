package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.pretrain4j.trainer.cuda.EmulatedLauncher.Order;
import org.pretrain4j.trainer.libtorch.ScalarType;

/** The emulation finds the mistakes that the tests of the kernels rely on it for. */
class EmulationTest {
  private static final int THREADS = 64;
  private static final int BLOCKS = 3;

  @ParameterizedTest
  @EnumSource
  void aBarrierHoldsInEachOrder(Order order) {
    float[] expected = new float[THREADS];
    for (int i = 0; i < THREADS; i++) {
      expected[i] = THREADS - 1 - i;
    }
    assertArrayEquals(expected, run("with_barrier", order, THREADS));
  }

  @Test
  void aMissingBarrierChangesResultsWithTheOrder() {
    for (String kernel : new String[] {"without_barrier", "without_barrier_between_sums"}) {
      float[] ascending = run(kernel, Order.ASCENDING, THREADS);
      float[] descending = run(kernel, Order.DESCENDING, THREADS);
      assertFalse(Arrays.equals(ascending, descending), kernel);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "barrier_of_some, are at a barrier",
    "shuffle_of_some, lanes of warp",
    "not_aligned, not aligned",
    "behind_shared_memory, of shared memory is written"
  })
  void whatAGpuDoesNotForgiveEndsTheLaunch(String kernel, String message) {
    int shared = kernel.startsWith("behind") ? THREADS - 1 : THREADS;
    for (Order order : Order.values()) {
      var thrown = assertThrows(IllegalStateException.class, () -> run(kernel, order, shared));
      assertTrue(thrown.getMessage().contains(message), thrown.getMessage());
    }
    assertEquals(THREADS - 1, run("with_barrier", Order.SHUFFLED, THREADS)[0]);
  }

  @Test
  void argumentsOfAnotherTypeAndTooManyThreadsAreRefused() {
    EmulatedLauncher launcher = new EmulatedLauncher(Order.ASCENDING);
    KernelArguments wrong = new KernelArguments().int64(0);
    assertThrows(
        AssertionError.class, () -> launcher.launch("with_barrier", 1, THREADS, 256, wrong));
    KernelArguments right = new KernelArguments().pointer(0);
    assertThrows(
        AssertionError.class, () -> launcher.launch("with_barrier", 1, 2 * THREADS, 256, right));
  }

  private static float[] run(String kernel, Order order, int sharedFloats) {
    DeviceMemory output = DeviceMemory.of(ScalarType.FLOAT32, true, new float[THREADS]);
    new EmulatedLauncher(order)
        .launch(
            kernel,
            BLOCKS,
            THREADS,
            4 * sharedFloats,
            new KernelArguments().pointer(output.address()));
    return output.values(ScalarType.FLOAT32);
  }
}
