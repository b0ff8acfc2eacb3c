package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The measurement of ranks, on a shape that takes no time. */
@Tag("slow")
final class BenchRanksCommandTest {
  @TempDir private Path temp;

  @ParameterizedTest
  @ValueSource(strings = {"tcp", "mpi"})
  void ranksShareTheOptimizer(String engine) throws Exception {
    boolean mpirun =
        List.of(System.getenv("PATH").split(":")).stream()
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, "mpirun")));
    assumeTrue(
        mpirun || "true".equals(System.getenv("CI")) || !engine.equals("mpi"), "no mpirun here");
    Cli.Result result =
        Cli.run(
                temp,
                "bench",
                "ranks",
                "--shape=tiny",
                "--ranks=1,2",
                "--repetitions=1",
                "--engine=" + engine,
                "--json=ranks.json")
            .ok();
    JsonNode reports = new ObjectMapper().readTree(temp.resolve("ranks.json").toFile());
    JsonNode one = reports.get(0);
    JsonNode two = reports.get(1);
    assertEquals(2, two.get("ranks").intValue(), result.toString());
    assertEquals(engine, two.get("engine").textValue());
    assertEquals(one.get("step_tokens"), two.get("step_tokens"));
    double ratio =
        two.get("optimizer_bytes").doubleValue() / one.get("optimizer_bytes").longValue();
    assertEquals(0.5, ratio, 0.01);
    assertTrue(two.get("exposed_seconds").doubleValue() > 0, two.toString());
    assertTrue(two.get("tokens_per_second").doubleValue() > 0, two.toString());
    assertTrue(two.get("peak_memory_bytes").longValue() > 10_000_000, two.toString());
  }
}
