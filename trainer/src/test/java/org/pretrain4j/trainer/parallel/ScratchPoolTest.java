package org.pretrain4j.trainer.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

final class ScratchPoolTest {
  private static final long BIG = 4 * ScratchPool.LARGE;

  @Test
  void whatIsGivenBackIsUsedAgain() {
    try (ScratchPool pool = new ScratchPool()) {
      MemorySegment first = pool.take(BIG);
      MemorySegment second = pool.take(BIG);
      assertNotEquals(first.address(), second.address());
      pool.give(first);
      assertEquals(first.address(), pool.take(BIG - 1000).address(), "it is large enough");
      assertEquals(2 * BIG, pool.bytes());
    }
  }

  @Test
  void aLargerOneComesInPlaceOfOneThatIsTooSmall() {
    try (ScratchPool pool = new ScratchPool()) {
      pool.give(pool.take(BIG));
      MemorySegment larger = pool.take(2 * BIG);
      assertEquals(2 * BIG, larger.byteSize());
      assertEquals(2 * BIG, pool.bytes(), "as many as are used at a time");
    }
  }

  @Test
  void smallMemoryTakesNoLargeOne() {
    try (ScratchPool pool = new ScratchPool()) {
      pool.give(pool.take(BIG));
      assertEquals(64, pool.take(8).byteSize());
      assertEquals(BIG, pool.take(BIG).byteSize());
      assertEquals(BIG + 64, pool.bytes());
    }
  }

  @Test
  void theEndFreesAllOfIt() {
    ScratchPool pool = new ScratchPool();
    MemorySegment taken = pool.take(BIG);
    pool.close();
    assertEquals(0, pool.bytes());
    assertThrows(IllegalStateException.class, () -> taken.get(ValueLayout.JAVA_BYTE, 0));
  }
}
