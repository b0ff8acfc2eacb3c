package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Arrays larger than the pinned buffers come through whole, and nothing is left behind. */
final class PinnedTransferTest {
  private static final int PIECE = 64;

  @Test
  void whatWasFilledIsReadBackAtEverySizeAndOffset() {
    HostMemoryGpu gpu = new HostMemoryGpu();
    byte[] values = new byte[5 * PIECE + 3];
    new Random(6).nextBytes(values);
    long device = gpu.allocate(values.length);
    try (PinnedTransfer transfer = new PinnedTransfer(gpu, PIECE)) {
      transfer.fill(
          device, values.length, memory -> memory.copyFrom(MemorySegment.ofArray(values)));
      for (int start : new int[] {0, 1, PIECE}) {
        for (int length : new int[] {0, 1, PIECE, PIECE + 1, 3 * PIECE, values.length - start}) {
          int end = Math.min(values.length, start + length);
          try (Arena arena = Arena.ofConfined()) {
            MemorySegment target = arena.allocate(Math.max(1, end - start)).asSlice(0, end - start);
            transfer.read(device + start, target);
            assertArrayEquals(
                java.util.Arrays.copyOfRange(values, start, end),
                target.toArray(ValueLayout.JAVA_BYTE),
                start + " to " + end);
          }
        }
      }
    }
    gpu.free(device);
    assertEquals(0, gpu.live());
  }

  @Test
  void noMorePinnedMemoryIsKeptThanTwoPieces() {
    HostMemoryGpu gpu = new HostMemoryGpu();
    long device = gpu.allocate(3 * PIECE);
    try (PinnedTransfer transfer = new PinnedTransfer(gpu, PIECE)) {
      int before = gpu.live();
      transfer.fill(device, PIECE, memory -> memory.fill((byte) 1));
      transfer.fill(device, 3 * PIECE, memory -> memory.fill((byte) 2));
      transfer.fill(device, 1, memory -> memory.fill((byte) 3));
      assertEquals(before + 2, gpu.live());
      assertEquals(1 + 3 + 1, gpu.streamedCopies);
      assertEquals(3 * PIECE + 2 * PIECE, gpu.bytes());
      MemorySegment target = Arena.ofAuto().allocate(3);
      transfer.read(device, target);
      assertArrayEquals(new byte[] {3, 2, 2}, target.toArray(ValueLayout.JAVA_BYTE));
    }
    gpu.free(device);
    assertEquals(0, gpu.live());
  }
}
