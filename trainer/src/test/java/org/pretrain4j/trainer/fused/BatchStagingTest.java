package org.pretrain4j.trainer.fused;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.pretrain4j.trainer.cuda.HostMemoryGpu;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.MicroBatch;

/** What reaches the GPU of a micro-batch, by a model of the driver. */
final class BatchStagingTest {
  private static final int VOCABULARY = 10;
  private static final int[][] INPUTS = {{3, 1, 3, 0, 2}, {1, 1, 9, 3, 0}};
  private static final int[][] TARGETS = {{1, 3, -100, 2, 5}, {1, 9, 3, 0, -100}};
  private static final MicroBatch BATCH =
      new MicroBatch(INPUTS, TARGETS, List.of(new int[] {3}, new int[] {1, 2}));

  @SuppressWarnings("restricted")
  private static int[] at(long address, int count) {
    return MemorySegment.ofAddress(address)
        .reinterpret((long) count * Integer.BYTES)
        .toArray(ValueLayout.JAVA_INT);
  }

  @Test
  void tokensTargetsGroupsAndDocumentsArriveAsTheyAre() {
    HostMemoryGpu gpu = new HostMemoryGpu();
    try (NDManager manager = Managers.host();
        BatchStaging staging = new BatchStaging(manager, gpu, VOCABULARY)) {
      staging.begin(BATCH);
      assertArrayEquals(new int[] {3, 1, 3, 0, 2, 1, 1, 9, 3, 0}, at(staging.tokens(), 10));
      assertArrayEquals(new int[] {1, 3, -100, 2, 5, 1, 9, 3, 0, -100}, at(staging.targets(0), 10));
      assertArrayEquals(new int[] {5, 1}, at(staging.targets(4), 2));
      assertEquals(5, staging.groups().count());
      assertArrayEquals(new int[] {0, 1, 2, 3, 9}, at(staging.groups().tokens(), 5));
      assertArrayEquals(new int[] {0, 2, 5, 6, 9, 10}, at(staging.groups().starts(), 6));
      assertArrayEquals(
          new int[] {3, 9, 1, 5, 6, 4, 0, 2, 8, 7}, at(staging.groups().positions(), 10));
      assertArrayEquals(
          new int[] {0, 3, 5, 6, 7, 10},
          staging.cumulativeLengths().segment().toArray(ValueLayout.JAVA_INT));
      assertEquals(3, staging.longestDocument());
    }
    assertEquals(0, gpu.live());
  }

  @Test
  void memoryIsTakenOnceAndOneCopyIsMadeForEachBatch() {
    HostMemoryGpu gpu = new HostMemoryGpu();
    long tensors = Tensor.live();
    try (NDManager manager = Managers.host();
        BatchStaging staging = new BatchStaging(manager, gpu, VOCABULARY)) {
      staging.begin(BATCH);
      int live = gpu.live();
      long address = staging.tokens();
      for (int i = 0; i < 5; i++) {
        staging.begin(BATCH);
      }
      assertEquals(live, gpu.live());
      assertEquals(address, staging.tokens());
      assertEquals(6, gpu.streamedCopies);
    }
    assertEquals(0, gpu.live());
    assertEquals(tensors, Tensor.live());
  }

  @Test
  void whatIsOutsideOfTheVocabularyIsRefusedOnTheHost() {
    HostMemoryGpu gpu = new HostMemoryGpu();
    try (NDManager manager = Managers.host();
        BatchStaging staging = new BatchStaging(manager, gpu, 9)) {
      assertThrows(IllegalArgumentException.class, () -> staging.begin(BATCH));
    }
    int[][] targets = {{1, 3, 10, 2, 5}};
    MicroBatch bad = new MicroBatch(new int[][] {INPUTS[0]}, targets, List.of(new int[0]));
    try (NDManager manager = Managers.host();
        BatchStaging staging = new BatchStaging(manager, gpu, VOCABULARY)) {
      assertThrows(IllegalArgumentException.class, () -> staging.begin(bad));
    }
    assertEquals(0, gpu.streamedCopies);
  }
}
