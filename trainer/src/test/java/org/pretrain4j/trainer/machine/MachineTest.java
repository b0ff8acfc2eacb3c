package org.pretrain4j.trainer.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.Test;

final class MachineTest {
  @Test
  void theMachineHasTheVariablesThatItsLibrariesListenTo() {
    assertEquals(
        Map.of("OMP_NUM_THREADS", "2", "ONEDNN_MAX_CPU_ISA", "AVX2", "THP_MEM_ALLOC_ENABLE", "1"),
        Machine.heeded(
            Map.of(
                "OMP_NUM_THREADS", "2",
                "ONEDNN_MAX_CPU_ISA", "AVX2",
                "THP_MEM_ALLOC_ENABLE", "1",
                "HOME", "/")));
  }
}
