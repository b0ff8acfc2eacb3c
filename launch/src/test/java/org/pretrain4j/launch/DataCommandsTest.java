package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The commands that prepare data, called as the program calls them. */
class DataCommandsTest {
  private static final String TOKENIZER = Cli.TOKENIZER.toString();

  @TempDir Path folder;

  private record Result(int code, String out, String err) {}

  private Result run(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine commandLine =
        Main.commandLine(new ErrorReport(), new GracefulStop())
            .setOut(new PrintWriter(out, true))
            .setErr(new PrintWriter(err, true));
    int code = commandLine.execute(arguments);
    return new Result(code, out.toString(), err.toString());
  }

  private String ok(String... arguments) {
    Result result = run(arguments);
    assertEquals(0, result.code(), result::toString);
    return result.out();
  }

  private String error(String... arguments) {
    Result result = run(arguments);
    assertEquals(ExitCode.USAGE.number(), result.code(), result::toString);
    assertEquals(1, result.err().lines().count(), result::toString);
    assertTrue(result.err().startsWith("error: "), result::toString);
    return result.err();
  }

  private String path(String name) {
    return folder.resolve(name).toString();
  }

  @BeforeEach
  void writeCorpus() throws Exception {
    for (int file = 0; file < 5; file++) {
      StringBuilder lines = new StringBuilder();
      for (int line = 0; line < 40; line++) {
        int number = line == 39 ? 7 : 1000 * file + line;
        lines
            .append("{\"text\": \"The document ")
            .append(Integer.toString(number, 2).replace("0", "zero ").replace("1", "one "))
            .append("of this corpus ends here.\"}\n");
      }
      Files.writeString(folder.resolve("corpus-" + file + ".jsonl"), lines);
    }
  }

  @Test
  void curateTokenizeByWorkersMergeAndShuffle() throws Exception {
    String report =
        ok(
            "curate",
            path("corpus-*.jsonl"),
            "--output",
            path("curated"),
            "--set",
            "bands=64",
            "--part-characters",
            "4000");
    assertTrue(report.contains("DUPLICATE: dropped 5 documents"), report);
    assertTrue(report.contains("corpus-0.jsonl"), report);

    String text = path("curated/*.jsonl.zst");
    for (int worker = 0; worker < 3; worker++) {
      ok(
          "tokenize",
          text,
          "--tokenizer",
          TOKENIZER,
          "--output",
          path("shards"),
          "--worker",
          worker + "/3",
          "--shard-tokens",
          "2000");
    }
    String merged = ok("merge-manifests", path("shards"));
    String whole = ok("tokenize", text, "--tokenizer", TOKENIZER, "--output", path("whole"));
    assertEquals(counts(whole), counts(merged), "the same documents and tokens");

    String shuffled =
        ok(
            "shuffle",
            path("shards"),
            "--output",
            path("shuffled"),
            "--sequence-length",
            "32",
            "--shard-tokens",
            "3000");
    assertTrue(Files.exists(folder.resolve("shuffled/manifest.json")), shuffled);
    assertFalse(Files.exists(folder.resolve("shuffled/_shuffle")), "temporary files are left");
    assertTrue(ok("inspect", path("shuffled")).contains("32"), "the sequence length");
  }

  private static String counts(String line) {
    return line.substring(line.indexOf("documents"), line.indexOf(", shards"));
  }

  @Test
  void corporaOfDatatroveAndMegatronAreTakenByTheirNames() throws Exception {
    ByteBuffer tokens = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
    for (int token : new int[] {65, 66, 257, 67, 68, 257}) {
      tokens.putShort((short) token);
    }
    ByteBuffer ends = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
    ends.putLong(3).putLong(6);
    Files.write(folder.resolve("old.ds"), tokens.array());
    Files.write(folder.resolve("old.ds.index"), ends.array());
    String line =
        ok("tokenize", path("old.ds"), "--tokenizer", TOKENIZER, "--output", path("converted"));
    assertTrue(line.contains("documents 2, tokens 6"), line);
  }

  @Test
  void mistakesAreOneLineThatSaysHowToMendThem() {
    assertTrue(error("merge-manifests", path("")).contains("--worker"));
    ok(
        "tokenize",
        path("corpus-*.jsonl"),
        "--tokenizer",
        TOKENIZER,
        "--output",
        path("part"),
        "--worker",
        "1/2");
    assertTrue(error("merge-manifests", path("part")).contains("worker 0/2 has not finished"));
    assertTrue(
        error(
                "tokenize",
                path("corpus-*.jsonl"),
                "--tokenizer",
                TOKENIZER,
                "--output",
                path("x"),
                "--worker",
                "2/2")
            .contains("expected 0 to 1"));
    assertTrue(
        error("shuffle", path("part"), "--output", path("x"), "--sequence-length", "8")
            .contains("does not exist"));
    assertTrue(
        error("shuffle", path("part"), "--output", path("x"), "--sequence-length", "0")
            .contains("sequence_length: 0"));
    assertTrue(
        error("curate", path("corpus-*.jsonl"), "--output", path("x"), "--set", "min_length=3")
            .contains("min_length"));
    assertTrue(error("bench", "data", "--tokens", "1").contains("--tokens 1"));
  }

  @Test
  void benchDataPrintsEveryPart() throws Exception {
    String out =
        ok(
            "bench",
            "data",
            "--tokenizer",
            TOKENIZER,
            "--tokens",
            "100000",
            "--documents",
            "100",
            "--folder",
            path(""),
            "--json",
            path("bench.json"));
    for (String part :
        new String[] {"tokenize", "read uint16", "read int32", "memory", "largest run"}) {
      assertTrue(out.contains(part), part + " in " + out);
    }
    assertTrue(Files.readString(folder.resolve("bench.json")).contains("tokens_per_second"));
    assertFalse(Files.exists(folder.resolve("pretrain4j-bench")), "the folder is not emptied");
  }
}
