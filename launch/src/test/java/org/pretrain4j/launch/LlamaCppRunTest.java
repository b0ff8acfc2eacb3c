package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.Tokenizer;

/**
 * The real llama.cpp opens the export of a trained run: greedily it generates what {@code generate}
 * does, and its mean loss on a text is that of {@code evaluate}. Needs Node.js 20 and npm; skipped
 * without, but never in continuous integration ({@code CI=true}). With {@code
 * -Dpretrain4j.llama.run=FOLDER} it looks at another run than a tiny one.
 */
@Tag("slow")
class LlamaCppRunTest {
  private static final Path SCRIPTS =
      Path.of("..", "checkpoints", "src", "test", "resources", "llama-cpp").toAbsolutePath();
  private static final Path INSTALLED =
      Path.of("..", "checkpoints", "target", "llama-cpp").toAbsolutePath().normalize();
  private static final String PROMPT = "The ";
  private static final int TOKENS = 40;

  @TempDir Path folder;

  private static boolean isOnPath(String program) {
    return Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
        .anyMatch(place -> Files.isExecutable(Path.of(place, program)));
  }

  private String shell(Path where, String... command) throws IOException, InterruptedException {
    Path output = folder.resolve("output");
    Process process =
        new ProcessBuilder(command)
            .directory(where.toFile())
            .redirectOutput(output.toFile())
            .redirectError(folder.resolve("errors").toFile())
            .start();
    try {
      assertTrue(process.waitFor(600, TimeUnit.SECONDS), String.join(" ", command) + " hangs");
      String errors = Files.readString(folder.resolve("errors"));
      assertEquals(0, process.exitValue(), errors + Files.readString(output));
      return Files.readString(output);
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void itGeneratesAndScoresAsThisProgramDoes() throws Exception {
    boolean installed = isOnPath("node") && isOnPath("npm");
    assertTrue(installed || !"true".equals(System.getenv("CI")), "Node.js is not installed");
    assumeTrue(installed, "Node.js is not installed");
    Files.createDirectories(INSTALLED);
    shell(INSTALLED, "sh", SCRIPTS.resolve("install.sh").toString(), INSTALLED.toString());
    String run = System.getProperty("pretrain4j.llama.run");
    System.out.println("the run: " + (run == null ? "a tiny one" : run));
    if (run == null) {
      TinyRun.write(folder);
      Cli.run(folder, "train", TinyRun.CONFIG).ok();
      run = folder.resolve("runs/tiny").toString();
    }
    Path text =
        Files.writeString(
            folder.resolve("held-out.txt"), "The 7th line is here: naïve 東京, 12 + 7 = 19.");
    Path prompt = Files.writeString(folder.resolve("prompt.txt"), PROMPT);
    Path file = folder.resolve("model.gguf");
    Cli.inside("export", "gguf", run, file.toString(), "--type", "f32").ok();
    JsonNode theirs =
        JsonMapper.builder()
            .build()
            .readTree(
                shell(
                    INSTALLED,
                    "node",
                    "score.mjs",
                    file.toString(),
                    text.toString(),
                    prompt.toString(),
                    Integer.toString(TOKENS)));

    Path json = folder.resolve("scores.json");
    Cli.inside("evaluate", run, "--data", "held=" + text, "--json", json.toString()).ok();
    double ours =
        JsonMapper.builder().build().readTree(json.toFile()).at("/datasets/held/loss").asDouble();
    System.out.println("mean loss: " + ours + ", llama.cpp: " + theirs.get("nll").asDouble());
    assertEquals(ours, theirs.get("nll").asDouble(), 1e-4);

    String generated =
        Cli.run(
                folder,
                "generate",
                "--run",
                run,
                "--prompt",
                PROMPT,
                "--temperature",
                "0",
                "--max-tokens",
                Integer.toString(TOKENS))
            .ok()
            .out();
    JsonNode greedy = theirs.get("greedy");
    int[] continuation =
        IntStream.range(0, greedy.size())
            .map(i -> greedy.get(i).asInt())
            .takeWhile(id -> id != theirs.get("end").asInt())
            .toArray();
    try (Tokenizer bytes =
        Tokenizer.load(
            new Storage(new Configuration()), Cli.TOKENIZER.toString(), "<|end_of_text|>")) {
      String expected = PROMPT + bytes.decode(continuation);
      System.out.println("both generate: " + expected);
      assertEquals(expected + System.lineSeparator(), generated);
    }
  }
}
