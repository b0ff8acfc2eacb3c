package org.pretrain4j.checkpoints.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.huggingface.TinyModel;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.MapTensors;

/**
 * The real llama.cpp (as the npm package node-llama-cpp ships it) reads what is exported and agrees
 * with a float64 forward pass. Needs Node.js 20 and npm; skipped without.
 */
@Tag("slow")
class LlamaCppTest {
  private static final ModelArchitecture MODEL = TinyModel.ARCHITECTURE;
  private static final String TEXT = "int main() { return 0; } // naïve 東京";
  private static final Path INSTALLED = Path.of("target", "llama-cpp").toAbsolutePath();

  private static final Path RESOURCES = Path.of("src/test/resources/llama-cpp").toAbsolutePath();

  @TempDir Path folder;

  @BeforeAll
  static void install() throws Exception {
    boolean installed = isOnPath("node") && isOnPath("npm");
    assumeTrue(installed || "true".equals(System.getenv("CI")), "Node.js is not installed");
    Files.createDirectories(INSTALLED);
    run("sh", RESOURCES.resolve("install.sh").toString(), INSTALLED.toString());
  }

  private static boolean isOnPath(String program) {
    return Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }

  private static String run(String... command) throws IOException, InterruptedException {
    Path output = Files.createTempFile("output", ".txt");
    Path errors = Files.createTempFile("errors", ".txt");
    Process process =
        new ProcessBuilder(command)
            .directory(INSTALLED.toFile())
            .redirectOutput(output.toFile())
            .redirectError(errors.toFile())
            .start();
    try {
      assertTrue(process.waitFor(600, TimeUnit.SECONDS), String.join(" ", command) + " hangs");
      assertEquals(0, process.exitValue(), () -> read(errors) + read(output));
      return read(output);
    } finally {
      process.destroyForcibly();
      Files.delete(output);
      Files.delete(errors);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** Each byte is a token of its number. */
  private Path byteTokenizer() throws IOException {
    var json = JsonMapper.builder().build().createObjectNode();
    var added = json.putArray("added_tokens").addObject();
    added.put("id", 257).put("content", "<|end_of_text|>").put("special", true);
    json.putObject("pre_tokenizer").put("type", "ByteLevel").put("use_regex", false);
    var bpe = json.putObject("model").put("type", "BPE");
    var vocabulary = bpe.putObject("vocab");
    int shifted = 256;
    for (int value = 0; value < 256; value++) {
      boolean printable =
          (value >= '!' && value <= '~') || (value >= 0xa1 && value <= 0xff && value != 0xad);
      vocabulary.put(Character.toString(printable ? value : shifted++), value);
    }
    bpe.putArray("merges");
    Path file = folder.resolve("tokenizer.json");
    Files.writeString(file, json.toString());
    return file;
  }

  private JsonNode score(MapTensors tensors, GgufType type) throws Exception {
    Path text = folder.resolve("text.txt");
    Files.writeString(text, TEXT);
    Path file = folder.resolve(type + ".gguf");
    new GgufExport(DurableFileSystem.of(FileSystem.getLocal(new Configuration())), type)
        .export(
            tensors,
            MODEL,
            Optional.of(new org.apache.hadoop.fs.Path(byteTokenizer().toUri())),
            "tiny",
            new org.apache.hadoop.fs.Path(file.toUri()));
    String printed = run("node", "score.mjs", file.toString(), text.toString());
    return JsonMapper.builder().build().readTree(printed);
  }

  private static double meanLoss(double[][] logits, int[] tokens) {
    double sum = 0;
    for (int t = 0; t + 1 < tokens.length; t++) {
      double largest = Arrays.stream(logits[t]).max().orElseThrow();
      double weight = Arrays.stream(logits[t]).map(logit -> Math.exp(logit - largest)).sum();
      sum += largest + Math.log(weight) - logits[t][tokens[t + 1]];
    }
    return sum / (tokens.length - 1);
  }

  private static List<Integer> greedy(ReferenceModel model, int[] tokens, int count) {
    List<Integer> generated = new ArrayList<>();
    int[] all = tokens;
    while (generated.size() < count) {
      double[] last = model.logits(all)[all.length - 1];
      int best =
          IntStream.range(0, last.length)
              .reduce((left, right) -> last[right] > last[left] ? right : left)
              .getAsInt();
      generated.add(best);
      all = Arrays.copyOf(all, all.length + 1);
      all[all.length - 1] = best;
    }
    return generated;
  }

  @Test
  void llamaCppAgreesWithAFloat64ForwardPass() throws Exception {
    MapTensors tensors = TinyModel.tensors(21);
    byte[] bytes = TEXT.getBytes(StandardCharsets.UTF_8);
    int[] tokens = IntStream.range(0, bytes.length).map(i -> bytes[i] & 0xff).toArray();
    ReferenceModel reference = new ReferenceModel(MODEL, tensors);
    double expected = meanLoss(reference.logits(tokens), tokens);
    List<Integer> continuation = greedy(reference, tokens, 16);
    for (GgufType type : GgufType.values()) {
      JsonNode scored = score(tensors, type);
      int[] ids =
          IntStream.range(0, tokens.length).map(i -> scored.get("ids").get(i).asInt()).toArray();
      assertArrayEquals(tokens, ids, type.toString());
      // The narrower types round the weights (and llama.cpp the activations).
      double tolerance = type == GgufType.F32 ? 1e-5 : type == GgufType.F16 ? 1e-3 : 2e-3;
      System.out.println(type + ": " + scored.get("nll").asDouble() + ", expected " + expected);
      assertEquals(expected, scored.get("nll").asDouble(), expected * tolerance, type.toString());
      if (type == GgufType.F32) {
        List<Integer> generated = new ArrayList<>();
        scored.get("greedy").forEach(token -> generated.add(token.asInt()));
        assertEquals(continuation, generated);
      }
    }
  }
}
