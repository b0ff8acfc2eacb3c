package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.pretrain4j.configuration.ConfigurationException;
import org.pretrain4j.configuration.StorageException;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.configuration.Violation;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.GroupFailure;
import org.pretrain4j.trainer.parallel.cluster.RendezvousException;
import picocli.CommandLine;

class ErrorReportTest {
  private final StringWriter out = new StringWriter();

  private ExitCode report(Throwable error) {
    return new ErrorReport().report(error, new PrintWriter(out));
  }

  @Test
  void aUsersMistakeIsItsMessageAndNothingElse() {
    assertEquals(ExitCode.USAGE, report(new UserException("sequence_length is 0; give 1 or more")));
    assertEquals("error: sequence_length is 0; give 1 or more\n", out.toString());
  }

  @Test
  void aMistakeThatAnInitializerNoticesIsNoLess() {
    UserException mistake = new UserException("PYTORCH_FLAVOR is not set");
    assertEquals(ExitCode.USAGE, report(new ExceptionInInitializerError(mistake)));
    assertEquals("error: PYTORCH_FLAVOR is not set\n", out.toString());
  }

  @Test
  void storageThatRefusesIsTriedAgainByLaunchers() {
    IOException cause = new IOException("Stale file handle");
    assertEquals(
        ExitCode.STORAGE, report(new StorageException("the metrics can't be written", cause)));
    assertEquals("error: the metrics can't be written\n", out.toString());
  }

  @Test
  void severalViolationsOfAConfigurationAreListedBelowOneErrorLine() {
    Violation first = new Violation("a.yaml:3", List.of("seed"), "is x, expected a whole number");
    Violation second = new Violation("a.yaml:9", List.of("nam"), "is no key, did you mean name?");
    report(new ConfigurationException(List.of(first)));
    assertEquals("error: a.yaml:3: seed is x, expected a whole number\n", out.toString());
    out.getBuffer().setLength(0);

    assertEquals(ExitCode.USAGE, report(new ConfigurationException(List.of(first, second))));
    assertEquals(
        """
        error: 2 things are wrong:
          a.yaml:3: seed is x, expected a whole number
          a.yaml:9: nam is no key, did you mean name?
        """,
        out.toString());
  }

  @Test
  void aRankWhoseOthersDoNotComeIsNotToBlame() {
    String late = "1 of 2 ranks joined within 600.0 s, missing: 1";
    assertEquals(ExitCode.OTHER_RANK, report(new RendezvousException(late)));
    assertEquals("error: " + late + "\n", out.toString());
  }

  private static CollectiveException seenByRank3(
      CollectiveException.Kind kind, Integer... culprits) {
    return new GroupFailure(kind, List.of(culprits), "it broke").seenBy(3, "barrier()");
  }

  @Test
  void aFailureOfTheGroupCountsForTheRanksAtFaultOnly() throws IOException {
    assertEquals(ExitCode.OTHER_RANK, report(seenByRank3(CollectiveException.Kind.TIMEOUT, 1, 2)));
    assertEquals(ExitCode.OTHER_RANK, report(seenByRank3(CollectiveException.Kind.BACKEND, 1)));
    assertEquals("error: it broke (noticed by rank 3 in barrier())\n".repeat(2), out.toString());
    for (CollectiveException own :
        List.of(
            seenByRank3(CollectiveException.Kind.TIMEOUT, 1, 3),
            seenByRank3(CollectiveException.Kind.BACKEND),
            seenByRank3(CollectiveException.Kind.MISMATCH, 1, 2))) {
      out.getBuffer().setLength(0);
      assertEquals(ExitCode.INTERNAL_ERROR, report(own));
      String line = out.toString();
      assertTrue(line.startsWith("error: it broke (noticed by rank 3 in barrier()); see "), line);
      Files.delete(Path.of(line.substring(line.indexOf("; see ") + 6).strip()));
    }
  }

  @Test
  void aMissingFileIsNamedAsSuch() {
    assertEquals(
        ExitCode.STORAGE,
        report(new UncheckedIOException(new NoSuchFileException("shards/a.arrow"))));
    assertEquals("error: no such file: shards/a.arrow\n", out.toString());
  }

  @Test
  void whatNobodyExpectedIsOneLineThatNamesALogWithTheStackTrace() throws IOException {
    assertEquals(ExitCode.INTERNAL_ERROR, report(new IllegalStateException("rank 3 is lost")));
    String line = out.toString();
    assertEquals(1, line.lines().count(), line);
    assertTrue(line.startsWith("error: unexpected "), line);
    Path log = Path.of(line.substring(line.indexOf("; see ") + 6).strip());
    String trace = Files.readString(log);
    Files.delete(log);
    assertTrue(trace.contains("rank 3 is lost") && trace.contains("\tat "), trace);
  }

  @Test
  void aLackOfMemorySaysWhatHelps() throws IOException {
    assertEquals(ExitCode.INTERNAL_ERROR, report(new OutOfMemoryError("Java heap space")));
    String line = out.toString();
    assertTrue(line.contains("PRETRAIN4J_JAVA_OPTIONS=-Xmx"), line);
    Files.delete(Path.of(line.substring(line.indexOf("; see ") + 6).strip()));
  }

  @Test
  void anUnknownOptionIsOneLineThatPointsToTheHelp() {
    CommandLine commandLine = Main.commandLine(new ErrorReport(), new GracefulStop());
    commandLine.setErr(new PrintWriter(out));
    assertEquals(ExitCode.USAGE.number(), commandLine.execute("--nonsense"));
    assertEquals("error: Unknown option: '--nonsense' (see pretrain4j --help)\n", out.toString());
  }
}
