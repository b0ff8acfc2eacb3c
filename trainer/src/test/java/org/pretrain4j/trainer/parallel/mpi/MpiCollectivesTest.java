package org.pretrain4j.trainer.parallel.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.RankExercise;

class MpiCollectivesTest {
  @TempDir Path folder;

  private int mpirun(String scenario, int ranks) throws Exception {
    boolean present = Files.isExecutable(Path.of("/usr/bin/mpirun")) || onPath("mpirun");
    assumeTrue(present || "true".equals(System.getenv("CI")), "mpirun is missing");
    List<String> command = new ArrayList<>();
    command.addAll(List.of("mpirun", "-n", Integer.toString(ranks), "--oversubscribe"));
    command.addAll(List.of("--mca", "btl_vader_single_copy_mechanism", "none"));
    if (System.getProperty("user.name").equals("root")) {
      command.add("--allow-run-as-root");
    }
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx256m", "-XX:+UseSerialGC"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(MpiRank.class.getName(), scenario, folder.toString()));
    Path log = folder.resolve("log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    boolean ended = process.waitFor(100, TimeUnit.SECONDS);
    process.destroyForcibly();
    assertTrue(ended, () -> "mpirun hangs: " + read(log));
    return process.exitValue();
  }

  private static boolean onPath(String program) {
    return List.of(System.getenv("PATH").split(":")).stream()
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (java.io.IOException e) {
      return e.toString();
    }
  }

  private String seen(int rank) {
    return read(folder.resolve("rank-" + rank));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3})
  @Tag("slow")
  void processesAgreeWithThreadsBitForBit(int ranks) throws Exception {
    int exit = mpirun("agree", ranks);
    assertEquals(0, exit, () -> read(folder.resolve("log")));
    long[] expected = new long[1];
    InProcessGroup.run(
        ranks,
        Duration.ofMinutes(1),
        collectives -> {
          long checksum = RankExercise.run(collectives, 77);
          if (collectives.rank() == 0) {
            expected[0] = checksum;
          }
        });
    for (int rank = 0; rank < ranks; rank++) {
      assertEquals(Long.toString(expected[0]), seen(rank));
    }
  }

  @Test
  @Tag("slow")
  void aFailingRankIsNamedOnTheOther() throws Exception {
    assertNotEquals(0, mpirun("fail", 2));
    assertTrue(seen(0).startsWith("FAILED [1] rank 1 failed: made to fail"), seen(0));
  }

  @Test
  @Tag("slow")
  void aRankThatHangsInItsOwnCodeIsNamed() throws Exception {
    assertNotEquals(0, mpirun("hang", 2));
    assertTrue(
        seen(0)
            .startsWith(
                "TIMEOUT [1] rank 0 waited 3.0 s in collective #1 allReduce(sum, float32 x 100000,"
                    + " 400000 bytes), missing: rank 1 (begun 1 collectives)"),
        seen(0));
  }

  @Test
  @Tag("slow")
  void differentCollectivesAreAnErrorThatNamesBoth() throws Exception {
    assertNotEquals(0, mpirun("mismatch", 2));
    for (int rank = 0; rank < 2; rank++) {
      assertTrue(seen(rank).startsWith("MISMATCH [0, 1] "), seen(rank));
      assertTrue(seen(rank).contains("called barrier()"), seen(rank));
      assertTrue(seen(rank).contains("called allReduce(sum, float32 x 100000"), seen(rank));
    }
  }

  @Test
  @Tag("slow")
  void aRankThatLeavesEarlyIsNamed() throws Exception {
    assertNotEquals(0, mpirun("leave", 2));
    assertTrue(seen(0).startsWith("LEFT [1] rank 1 left the group after 1 collectives"), seen(0));
  }

  @Test
  void aMissingLibraryIsOneLine() {
    UserException e =
        assertThrows(
            UserException.class,
            () -> OpenMpi.open(Map.of("PRETRAIN4J_LIBMPI", "/nowhere/libmpi.so")));
    assertTrue(
        e.getMessage().startsWith("Open MPI was not found: looked for /nowhere/libmpi.so"),
        e.getMessage());
    assertTrue(e.getMessage().contains("apt-get install openmpi-bin"), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }
}
