package org.pretrain4j.trainer.parallel.nccl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/** The binding against the values that nccl.h documents. */
class NcclLibraryTest {

  @Test
  void enumsHaveTheirDocumentedValues() {
    assertEquals(0, NcclResult.SUCCESS.ordinal());
    assertEquals(1, NcclResult.UNHANDLED_CUDA_ERROR.ordinal());
    assertEquals(2, NcclResult.SYSTEM_ERROR.ordinal());
    assertEquals(3, NcclResult.INTERNAL_ERROR.ordinal());
    assertEquals(4, NcclResult.INVALID_ARGUMENT.ordinal());
    assertEquals(5, NcclResult.INVALID_USAGE.ordinal());
    assertEquals(6, NcclResult.REMOTE_ERROR.ordinal());
    assertEquals(7, NcclResult.IN_PROGRESS.ordinal());
    assertEquals(7, Nccl.FLOAT32);
    assertEquals(9, Nccl.BFLOAT16);
    assertEquals(0, Nccl.SUM);
    assertEquals(2, Nccl.MAX);
  }

  @Test
  void theConfigurationHasTheLayoutOfNccl214() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment config = NcclLibrary.nonBlocking(arena);
      assertEquals(24, config.byteSize());
      assertEquals(24, config.get(ValueLayout.JAVA_LONG, 0)); // size_t size
      assertEquals(0xcafebeef, config.get(ValueLayout.JAVA_INT, 8)); // unsigned int magic
      assertEquals(21_400, config.get(ValueLayout.JAVA_INT, 12)); // unsigned int version
      assertEquals(0, config.get(ValueLayout.JAVA_INT, 16)); // int blocking
    }
    assertEquals(128, NcclLibrary.UNIQUE_ID.byteSize());
  }

  @Test
  void aMissingLibraryIsOneLine() {
    UserException e =
        assertThrows(
            UserException.class,
            () -> NcclLibrary.open(Map.of("PRETRAIN4J_LIBNCCL", "/nowhere/libnccl.so.2")));
    assertTrue(
        e.getMessage().startsWith("NCCL was not found: looked for /nowhere/libnccl.so.2"),
        e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  @Test
  void allFunctionsResolveWhereNcclIsInstalled() {
    NativeLibrary.Attempt attempt = NativeLibrary.attempt(NcclLibrary.SEARCH, System.getenv());
    boolean isThere = attempt.library().isPresent() || !attempt.reasons().isEmpty();
    assumeTrue(isThere, "NCCL is not installed");
    int version = NcclLibrary.open(System.getenv()).version();
    assertTrue(version >= 21_400, "NCCL " + version);
  }
}
