package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.trainer.bench.BenchReport;

/** Fused operators switched off in a measurement, on a shape that takes no time. */
@Tag("slow")
final class BenchOperatorsTest {
  @TempDir private Path temp;

  @Test
  void aStepWithOperatorsSwitchedOffIsHeldAgainstTheFusedOne() throws Exception {
    Path json = temp.resolve("bench.json");
    Cli.Result result =
        Cli.run(
                temp,
                "bench",
                "--shape=tiny",
                "--repetitions=1",
                "--composed-operators=norm,cross_entropy",
                "--baseline=fused",
                "--json=" + json)
            .ok();
    assertTrue(result.out().contains("fused without norm, cross_entropy"), result.toString());
    BenchReport report = BenchDocument.read(json).reports().getFirst();
    assertEquals("fused without norm, cross_entropy", report.kernels());
    assertEquals("fused", report.baseline().kernels());
  }

  @Test
  void whatCannotBeSwitchedOffIsNamed() {
    String error =
        // Also where its name is a subcommand's.
        Cli.inside("bench", "--kernels=composed", "--composed-operators", "products")
            .error(ExitCode.USAGE);
    assertEquals(
        "error: --composed-operators is set, but --kernels composed has no fused operators: remove"
            + " one of the two",
        error);
    Cli.Result unknown = Cli.inside("bench", "--composed-operators=nrm");
    assertTrue(unknown.err().contains("PRODUCTS, CROSS_ENTROPY"), unknown.toString());
  }
}
