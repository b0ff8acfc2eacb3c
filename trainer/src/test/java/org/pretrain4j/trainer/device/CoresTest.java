package org.pretrain4j.trainer.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class CoresTest {
  @TempDir private Path root;

  /** Eight processors, of which n and n + 4 are one core. */
  private void machine(String allowed) throws IOException {
    Path status = root.resolve("proc/self/status");
    Files.createDirectories(status.getParent());
    Files.writeString(
        status, "Name:\tjava\nCpus_allowed:\tff\nCpus_allowed_list:\t" + allowed + "\n");
    for (int processor = 0; processor < 8; processor++) {
      Path topology = root.resolve("sys/devices/system/cpu/cpu" + processor + "/topology");
      Files.createDirectories(topology);
      int core = processor % 4;
      Files.writeString(topology.resolve("core_cpus_list"), core + "," + (core + 4) + "\n");
    }
  }

  @Test
  void twoHyperthreadsOfACoreCountOnce() throws IOException {
    machine("0-7");
    assertEquals(4, Cores.available(root, 8));
  }

  @Test
  void onlyTheProcessorsOfTheProcessCount() throws IOException {
    machine("0-1,4,7");
    assertEquals(3, Cores.available(root, 4));
    machine("5");
    assertEquals(1, Cores.available(root, 1));
  }

  @Test
  void thereAreNeverMoreThanTheProcessorsThatTheJvmCounts() throws IOException {
    machine("0-7");
    assertEquals(2, Cores.available(root, 2));
  }

  @Test
  void whereTheSystemDoesNotTellProcessorsCount() throws IOException {
    assertEquals(8, Cores.available(root, 8));
    machine("");
    assertEquals(8, Cores.available(root, 8));
    machine("0-8");
    assertEquals(9, Cores.available(root, 9));
  }

  @Test
  void thisMachineHasAtLeastOneAndNotMoreThanItsProcessors() {
    int cores = Cores.available();
    assertTrue(cores >= 1 && cores <= Runtime.getRuntime().availableProcessors(), "" + cores);
  }
}
