package org.pretrain4j.trainer.parallel.nccl;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class NcclCommunicatorTest {
  private static int unexpected(long handle) {
    throw new AssertionError("a call with a handle that NCCL has freed: " + handle);
  }

  @Test
  void theHandleIsNotUsedOnceItWasAborted() {
    FakeGpus gpus = new FakeGpus(1);
    FakeGpus.Rank rank = gpus.rank(0);
    NcclCommunicator communicator = new NcclCommunicator(rank, rank);
    communicator.connect(1, new byte[0], 0);
    assertEquals(7, communicator.use(handle -> 7));
    communicator.abort();
    communicator.abort();
    assertEquals(1, gpus.aborts.get());
    int inProgress = NcclResult.IN_PROGRESS.ordinal();
    assertEquals(inProgress, communicator.use(NcclCommunicatorTest::unexpected));
    communicator.connect(1, new byte[0], 0);
    assertEquals(inProgress, communicator.use(NcclCommunicatorTest::unexpected));
  }
}
