package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.nanotron.NanotronFolder;
import org.pretrain4j.checkpoints.tensors.MapTensors;

/** A trained model leaves by the commands, comes back, is merged and evaluated. */
class OpenModelsTest {
  @TempDir static Path folder;

  private static String run;
  private static String exported;

  @BeforeAll
  static void trainAndExport() throws IOException {
    TinyRun.write(folder);
    // Named from where the run is started, and found by commands that are given elsewhere.
    Files.copy(Cli.TOKENIZER, folder.resolve("own-tokenizer.json"));
    Cli.run(folder, "train", TinyRun.CONFIG, "--set", "tokenizer.path=own-tokenizer.json").ok();
    run = folder.resolve("runs/tiny").toString();
    exported = folder.resolve("exported").toString();
    Cli.Result result = Cli.inside("export", "hf", run, exported, "--type", "f32").ok();
    assertTrue(result.out().contains("are 0% off"), result.out());
    assertTrue(result.out().contains("the same bits"), result.out());
  }

  private static Checkpoint newest(Path run) {
    return CheckpointStore.open(run.resolve("checkpoints").toString())
        .newestGood(warning -> {})
        .orElseThrow();
  }

  private static float[] weights(Checkpoint checkpoint, String kind) {
    long elements = checkpoint.layout().elements();
    try (Arena arena = Arena.ofShared()) {
      MemorySegment values = arena.allocate(elements * Float.BYTES);
      checkpoint.read(kind, new FlatRange(0, elements), values);
      return values.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private Path fresh(String name) {
    return folder.resolve(name + "-" + System.nanoTime());
  }

  /** A copy of the exported folder, to be spoilt. */
  private Path copy(String name, Path original) throws IOException {
    Path copy = Files.createDirectories(fresh(name));
    try (Stream<Path> files = Files.list(original)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(file.getFileName()));
      }
    }
    return copy;
  }

  /** Nothing was left of a failed attempt, under whatever name. */
  private static void assertNothingLike(Path target) throws IOException {
    try (Stream<Path> files = Files.list(target.getParent())) {
      String name = target.getFileName().toString();
      assertEquals(List.of(), files.filter(path -> path.toString().contains(name)).toList());
    }
  }

  @Test
  void whatWasExportedAndImportedIsTheSameBitsAndTrainsOn() throws IOException {
    String settings = "name=second";
    Cli.Result imported =
        Cli.run(folder, "import", "hf", TinyRun.CONFIG, "--from", exported, "--set", settings).ok();
    assertTrue(imported.out().contains("train tiny.yaml"), imported.out());
    Checkpoint original = newest(Path.of(run));
    Checkpoint first = newest(folder.resolve("runs/second"));
    assertEquals(0, first.step());
    assertArrayEquals(weights(original, "master"), weights(first, "master"));
    for (float moment : weights(first, "exp_avg")) {
      assertEquals(0, moment);
    }
    Cli.run(folder, "train", TinyRun.CONFIG, "--set", settings).ok();
    double trained = loss(run, TinyRun.STEPS - 1);
    double begun = loss(folder.resolve("runs/second").toString(), 0);
    assertTrue(begun < loss(run, 0) - 1, begun + " continues " + trained);

    String again =
        Cli.run(folder, "import", "hf", TinyRun.CONFIG, "--from", exported, "--set", settings)
            .error(ExitCode.USAGE);
    assertTrue(again.contains("holds checkpoints already"), again);
    String other =
        Cli.run(
                folder,
                "import",
                "hf",
                TinyRun.CONFIG,
                "--from",
                exported,
                "--set",
                "name=third",
                "--set",
                "model.intermediate_size=96")
            .error(ExitCode.USAGE);
    assertTrue(other.contains("model.intermediate_size to 64"), other);
    String format =
        Cli.run(folder, "import", "nanotron", TinyRun.CONFIG, "--from", exported)
            .error(ExitCode.USAGE);
    assertTrue(format.contains("model_config.json"), format);
  }

  private static double loss(String run, int line) throws IOException {
    String text = Files.readAllLines(Path.of(run, "metrics.jsonl")).get(line);
    return JsonMapper.builder().build().readTree(text).get("loss").doubleValue();
  }

  @ParameterizedTest
  @CsvSource({"f32, true", "bf16, true", "f16, true", "q8_0, false"})
  void everyTypeOfGgufPassesItsCheck(String type, boolean sameBits) {
    Path file = fresh("model.gguf");
    Cli.Result result = Cli.inside("export", "gguf", run, file.toString(), "--type", type).ok();
    assertEquals(sameBits, result.out().contains("the same bits"), result.out());
    assertTrue(Files.exists(file));
  }

  private DatasetLoss evaluate(Object... modelAndOptions) throws IOException {
    Path json = fresh("scores.json");
    List<String> command = new ArrayList<>(List.of("evaluate"));
    Stream.of(modelAndOptions).map(Object::toString).forEach(command::add);
    command.addAll(List.of("--data", "web=" + folder.resolve("web.txt")));
    command.addAll(List.of("--max-documents", "1", "--json", json.toString()));
    Cli.Result result = Cli.inside(command.toArray(String[]::new)).ok();
    JsonNode web = JsonMapper.builder().build().readTree(json.toFile()).at("/datasets/web");
    assertTrue(result.out().contains("bits per byte"), result.out());
    assertEquals(Files.size(folder.resolve("web.txt")), web.get("tokens").asLong());
    return new DatasetLoss(web.get("loss").doubleValue(), web.get("bits_per_byte").doubleValue());
  }

  private record DatasetLoss(double loss, double bitsPerByte) {}

  @Test
  void evaluationAgreesBetweenTheRunAndItsExports() throws IOException {
    DatasetLoss own = evaluate(run);
    // A token a byte, and the end of the text in place of the first byte.
    assertEquals(own.loss() / Math.log(2), own.bitsPerByte(), 1e-9);
    assertTrue(own.loss() > 1 && own.loss() < Math.log(288), own.toString());
    assertEquals(own, evaluate(exported));
    String bf16 = fresh("bf16").toString();
    Cli.inside("export", "hf", run, bf16).ok();
    assertEquals(own.loss(), evaluate(bf16).loss(), 1e-2);
    String nothing = Cli.inside("evaluate", run).error(ExitCode.USAGE);
    assertTrue(nothing.contains("--data NAME=WHAT"), nothing);
  }

  /** Replaces the value before the last vector of the file, which is of a matrix. */
  private static void spoil(Path folder, float value) throws IOException {
    Path file = folder.resolve("model.safetensors");
    try (RandomAccessFile weights = new RandomAccessFile(file.toFile(), "rw")) {
      weights.seek(weights.length() - 33 * Float.BYTES);
      weights.writeInt(Integer.reverseBytes(Float.floatToRawIntBits(value)));
    }
  }

  @ParameterizedTest
  @CsvSource({"gguf", "hf"})
  void weightsThatDoNotFitTheTypeFailTheCheckAndNothingStays(String format) throws IOException {
    Path large = copy("large", Path.of(exported));
    spoil(large, 1e6f);
    Path target = fresh("overflow");
    String error =
        Cli.inside("export", format, large.toString(), target.toString(), "--type", "f16")
            .error(ExitCode.USAGE);
    assertTrue(error.contains("fails its check"), error);
    assertNothingLike(target);
  }

  @Test
  void aFileThatExistsIsNotTouched() throws IOException {
    Path file = Files.writeString(fresh("here.gguf"), "mine");
    String error = Cli.inside("export", "gguf", run, file.toString()).error(ExitCode.USAGE);
    assertTrue(error.contains("exists already"), error);
    assertEquals("mine", Files.readString(file));
  }

  private Cli.Result merge(Path output, String recipe) throws IOException {
    Path file = Files.writeString(fresh("recipe.yaml"), recipe);
    return Cli.inside("merge", file.toString(), "--output", output.toString());
  }

  @Test
  void aModelMergedWithItselfIsItself() throws IOException {
    Path merged = fresh("merged");
    merge(
            merged,
            "output: f32\nmodels: [{path: \"%1$s\", weight: 0.9}, {path: \"%1$s\", weight: 0.1}]"
                .formatted(exported))
        .ok();
    assertArrayEquals(
        Files.readAllBytes(Path.of(exported, "model.safetensors")),
        Files.readAllBytes(merged.resolve("model.safetensors")));
    assertTrue(Files.exists(merged.resolve("tokenizer.json")));
    Path checkpoints = fresh("merged-run");
    merge(
            checkpoints.resolve("checkpoints"),
            "models: [{path: \"%s\", weight: 1}, {path: \"%s\", weight: 1}]"
                .formatted(run, exported))
        .ok();
    assertArrayEquals(
        weights(newest(Path.of(run)), "master"), weights(newest(checkpoints), "master"));
  }

  @Test
  void anotherVocabularyCannotBeMerged() throws IOException {
    Path other = copy("other", Path.of(exported));
    Path tokenizer = other.resolve("tokenizer.json");
    Files.writeString(
        tokenizer, Files.readString(tokenizer).replace("<|end_of_text|>", "<|other|>"));
    Path merged = fresh("never");
    String error =
        merge(
                merged,
                "models: [{path: \"%s\", weight: 1}, {path: \"%s\", weight: 1}]"
                    .formatted(exported, other))
            .error(ExitCode.USAGE);
    assertTrue(error.contains("the vocabulary differs"), error);
    assertNothingLike(merged);
  }

  @Test
  void aNanotronCheckpointBecomesARunThatTrainsOn() throws IOException {
    ModelArchitecture model =
        new ModelArchitecture(
            288,
            32,
            64,
            4,
            2,
            1,
            16,
            50_000,
            4,
            1e-6,
            0.02,
            64,
            true,
            OptionalInt.empty(),
            OptionalInt.of(257), // <|end_of_text|>
            OptionalInt.empty());
    MapTensors weights = MapTensors.random(model.tensors(), 11);
    Path nanotron = fresh("nanotron");
    NanotronFolder.write(nanotron, model, weights);
    String name = "name=from-nanotron";
    String[] importing = {
      "import", "nanotron", TinyRun.CONFIG, "--from", nanotron.toString(), "--set", name
    };
    Cli.run(folder, importing).ok();
    Path run = folder.resolve("runs/from-nanotron");
    Checkpoint first = newest(run);
    assertEquals(0, first.step());
    float[] master = weights(first, "master");
    for (FlatLayout.Entry entry : first.layout().entries()) {
      int from = (int) entry.offset();
      assertArrayEquals(
          weights.values(entry.name()),
          Arrays.copyOfRange(master, from, from + (int) entry.elements()),
          entry.name());
    }
    assertEquals(evaluate(run.toString()), evaluate(nanotron, "--tokenizer", Cli.TOKENIZER));
    Cli.run(folder, "train", TinyRun.CONFIG, "--set", name).ok();
    assertTrue(loss(run.toString(), TinyRun.STEPS - 1) < loss(run.toString(), 0));
  }

  private static void replace(Path file, String old, String with) throws IOException {
    String text = Files.readString(file);
    assertTrue(text.contains(old), text);
    Files.writeString(file, text.replace(old, with));
  }

  @ParameterizedTest
  @CsvSource({
    "missing shard, is missing",
    "wrong shape, model.layers.0.mlp.gate_proj.weight",
    "unknown architecture, unknown model_type 'mamba'",
    "tensor twice, appears in two files",
    "tensor twice in a header, damaged header",
    "more bytes than the file has, header claims",
    "index outside, refused",
    "no model, has neither",
  })
  void aDamagedModelIsOneLineAndNothingIsWritten(String damage, String complaint)
      throws IOException {
    Path model = fresh("several");
    Cli.inside("export", "hf", run, model.toString(), "--max-file-bytes", "30000").ok();
    Path index = model.resolve("model.safetensors.index.json");
    Path first;
    Path second;
    try (Stream<Path> files = Files.list(model)) {
      List<Path> weights =
          files.filter(path -> path.toString().endsWith(".safetensors")).sorted().toList();
      first = weights.get(0);
      second = weights.get(1);
    }
    switch (damage) {
      case "missing shard" -> Files.delete(second);
      case "wrong shape" ->
          replace(
              model.resolve("config.json"),
              "\"intermediate_size\" : 64",
              "\"intermediate_size\" : 65");
      case "unknown architecture" -> replace(model.resolve("config.json"), "smollm3", "mamba");
      case "tensor twice" -> {
        Files.delete(second);
        Files.copy(first, second);
      }
      case "tensor twice in a header" -> {
        String text = Files.readString(second, StandardCharsets.ISO_8859_1);
        assertTrue(text.contains("k_proj") && text.contains("q_proj"), text);
        Files.writeString(second, text.replace("k_proj", "q_proj"), StandardCharsets.ISO_8859_1);
      }
      case "more bytes than the file has" -> {
        try (RandomAccessFile file = new RandomAccessFile(second.toFile(), "rw")) {
          file.writeLong(Long.reverseBytes(60_000_000));
        }
      }
      case "index outside" ->
          replace(index, first.getFileName().toString(), "../" + first.getFileName());
      case "no model" -> Files.delete(index);
      default -> throw new AssertionError(damage);
    }
    Path target = fresh("never.gguf");
    String error =
        Cli.inside("export", "gguf", model.toString(), target.toString()).error(ExitCode.USAGE);
    assertTrue(error.contains(complaint), error);
    assertNothingLike(target);
    assertFalse(Files.exists(target));
  }
}
