package org.pretrain4j.trainer.parallel.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.configuration.UserException;

class WorldTest {
  private static final Map<String, String> TORCHRUN =
      Map.of(
          "RANK",
          "3",
          "WORLD_SIZE",
          "8",
          "LOCAL_RANK",
          "1",
          "MASTER_ADDR",
          "node0",
          "MASTER_PORT",
          "1234");
  private static final Map<String, String> SLURM =
      Map.of(
          "SLURM_PROCID",
          "3",
          "SLURM_STEP_NUM_TASKS",
          "8",
          "SLURM_LOCALID",
          "1",
          "SLURM_STEP_NUM_NODES",
          "4",
          "SLURM_STEP_NODELIST",
          "gpu[07-09,12]",
          "SLURM_JOB_ID",
          "4321");
  private static final Map<String, String> OPEN_MPI =
      Map.of(
          "OMPI_COMM_WORLD_RANK",
          "3",
          "OMPI_COMM_WORLD_SIZE",
          "8",
          "OMPI_COMM_WORLD_LOCAL_RANK",
          "1");

  @SafeVarargs
  private static Map<String, String> merged(Map<String, String>... parts) {
    Map<String, String> all = new HashMap<>();
    for (Map<String, String> part : parts) {
      all.putAll(part);
    }
    return all;
  }

  private static String refusal(Map<String, String> environment) {
    return assertThrows(UserException.class, () -> World.discover(environment)).getMessage();
  }

  @Test
  void eachLaunchersVariablesAreRead() {
    assertEquals(
        new World(3, 8, 1, "node0", 1234, World.Source.TORCHRUN), World.discover(TORCHRUN));
    assertEquals(new World(3, 8, 1, "gpu07", 29_821, World.Source.SLURM), World.discover(SLURM));
    assertEquals(new World(3, 8, 1, null, 29_500, World.Source.OPEN_MPI), World.discover(OPEN_MPI));
    assertEquals(World.single(), World.discover(Map.of("HOME", "/root")));
  }

  @Test
  void torchrunComesBeforeSlurmBeforeOpenMpiWhereTheyAgree() {
    assertEquals(World.Source.TORCHRUN, World.discover(merged(OPEN_MPI, SLURM, TORCHRUN)).source());
    assertEquals(World.Source.SLURM, World.discover(merged(OPEN_MPI, SLURM)).source());
  }

  @Test
  void aContradictionSaysWhatItSaw() {
    assertEquals(
        "the environment contradicts itself: RANK and WORLD_SIZE say rank 3 of 8,"
            + " OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE say rank 3 of 4; unset those that are"
            + " wrong",
        refusal(merged(TORCHRUN, OPEN_MPI, Map.of("OMPI_COMM_WORLD_SIZE", "4"))));
    assertEquals(
        "the environment contradicts itself: RANK and WORLD_SIZE say rank 3 of 8, SLURM_PROCID and"
            + " SLURM_STEP_NUM_TASKS say rank 2 of 8; unset those that are wrong",
        refusal(merged(TORCHRUN, SLURM, Map.of("SLURM_PROCID", "2"))));
  }

  @Test
  void oneTaskOnEachNodeMayStartTheRanksThere() {
    Map<String, String> daemons =
        merged(SLURM, Map.of("SLURM_STEP_NUM_TASKS", "4", "SLURM_PROCID", "0"));
    assertEquals(3, World.discover(merged(daemons, TORCHRUN)).rank());
    World world = World.discover(merged(daemons, OPEN_MPI));
    assertEquals(3, world.rank());
    assertEquals(World.Source.OPEN_MPI, world.source());
  }

  @Test
  void aBatchScriptItselfIsNoRank() {
    assertEquals(
        World.single(),
        World.discover(Map.of("SLURM_JOB_ID", "7", "SLURM_PROCID", "0", "SLURM_NTASKS", "2")));
  }

  @Test
  void whatIsMissingOrImpossibleIsNamed() {
    assertEquals(
        "WORLD_SIZE is missing in the environment, its companions are set",
        refusal(Map.of("RANK", "0")));
    assertEquals(
        "RANK=x in the environment; expected a whole number",
        refusal(merged(TORCHRUN, Map.of("RANK", "x"))));
    assertEquals(
        "TORCHRUN announces rank 8 in a world of 8; ranks go from 0 to 7",
        refusal(merged(TORCHRUN, Map.of("RANK", "8"))));
    assertEquals(
        "RANK=0 and WORLD_SIZE=2 are set, but MASTER_ADDR is not: set it to the host of rank 0",
        refusal(Map.of("RANK", "0", "WORLD_SIZE", "2")));
    assertEquals(
        "MASTER_PORT is 70000; a port is from 1 to 65535",
        refusal(merged(TORCHRUN, Map.of("MASTER_PORT", "70000"))));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ' ',
      value = {
        "node1 node1",
        "a,b[1-2] a",
        "gpu[07-12,15],login1 gpu07",
        "n[3,9] n3",
        "rack2-n[001-100]-ib rack2-n001-ib"
      })
  void theFirstHostOfANodeListIsTheMaster(String nodes, String first) {
    assertEquals(first, WorldDiscovery.firstHost(nodes));
  }

  @Test
  void ranksThatAreThreadsAreCountedProcessByProcess() {
    World process = new World(3, 48, 0, "node0", 29_500, World.Source.SLURM);
    assertEquals(new World(24, 384, 0, "node0", 29_500, World.Source.SLURM), process.rankOf(0, 8));
    assertEquals(new World(31, 384, 7, "node0", 29_500, World.Source.SLURM), process.rankOf(7, 8));
    World secondOfItsMachine = new World(1, 2, 1, "node0", 29_500, World.Source.TORCHRUN);
    assertEquals(6, secondOfItsMachine.rankOf(2, 4).localRank(), "the number of its GPU");
    assertEquals(process, process.rankOf(0, 1));
  }
}
