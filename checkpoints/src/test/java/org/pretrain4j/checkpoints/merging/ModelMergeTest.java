package org.pretrain4j.checkpoints.merging;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointState;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FirstCheckpoint;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.huggingface.HuggingFaceExport;
import org.pretrain4j.checkpoints.huggingface.TinyModel;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.MapTensors;
import org.pretrain4j.checkpoints.tensors.Rounding;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.UserException;

class ModelMergeTest {
  private static final String MATRIX = "model.layers.1.mlp.up_proj.weight";

  @TempDir Path folder;
  private final List<String> warnings = new ArrayList<>();
  private DurableFileSystem files;

  @BeforeEach
  void open() throws IOException {
    files = DurableFileSystem.of(FileSystem.getLocal(new Configuration()));
  }

  private String path(String name) {
    return folder.resolve(name).toString();
  }

  private MapTensors exported(String name, long seed) {
    MapTensors tensors = TinyModel.tensors(seed);
    new HuggingFaceExport(files, DType.F32)
        .export(
            tensors,
            TinyModel.ARCHITECTURE,
            Optional.empty(),
            new org.apache.hadoop.fs.Path(folder.resolve(name).toUri()));
    return tensors;
  }

  private void merge(String recipe, String result) {
    MergeConfig config =
        ConfigurationReader.parse(
            MergeConfig.class, recipe.replace("@", folder.toString()), "merge.yaml");
    ModelMerge.run(config, path(result), this::open, warnings::add);
  }

  /** The test's checkpoints hold their rope_theta, and the path of their tokenizer. */
  private ModelInput open(String place) {
    ModelInput input = ModelInput.open(place, folder -> folder, warnings::add);
    String[] known =
        input
            .checkpoint()
            .map(Checkpoint::state)
            .map(CheckpointState::configuration)
            .orElse("")
            .split(" ");
    return known.length < 2
        ? input
        : input.with(
            TinyModel.withRopeTheta(Double.parseDouble(known[0])),
            new org.apache.hadoop.fs.Path(Path.of(known[1]).toUri()));
  }

  private void saved(String name, String configuration) {
    FlatLayout layout =
        FlatLayout.of(
            TinyModel.ARCHITECTURE.tensors().stream()
                .map(tensor -> new FlatLayout.Parameter(tensor.name(), tensor.shape()))
                .toList());
    CheckpointState state = CheckpointState.builder(1).configuration(configuration).build();
    FirstCheckpoint.write(TinyModel.tensors(1), layout, CheckpointStore.open(path(name)), state);
  }

  @Test
  void whatTheTensorsOfOurCheckpointsDoNotTellIsCompared() throws IOException {
    Path one = Files.writeString(folder.resolve("1.json"), "{\"model\":{\"vocab\":{\"a\":0}}}");
    Path two = Files.writeString(folder.resolve("2.json"), "{\"model\":{\"vocab\":{\"b\":0}}}");
    Path bad = Files.writeString(folder.resolve("bad.json"), "{\n\"model\": [}\n");
    saved("a", "10000 " + one);
    saved("b", "10000 " + two);
    saved("c", "500000 " + one);
    saved("d", "10000 " + bad);
    saved("e", "10000 " + folder.resolve("gone.json"));
    String both = "models: [{path: \"@/a\", weight: 1}, {path: \"@/%s\", weight: 1}]";
    assertRefused(both.formatted("b"), "x", "the vocabulary differs");
    assertRefused(both.formatted("c"), "x", "rope_theta is 10000.0 and 500000.0");
    assertRefused(both.formatted("d"), "x", "bad.json is no JSON");
    assertTrue(Files.notExists(folder.resolve("x")));
    merge(both.formatted("e"), "x");
    assertEquals(1, warnings.size());
    assertTrue(warnings.getFirst().contains("gone.json"), warnings.getFirst());
  }

  private float[] result(String name, String tensor) {
    try (ModelInput input = ModelInput.open(path(name), folder -> folder, warning -> {})) {
      TensorSpec spec = input.tensors().find(tensor).orElseThrow();
      float[] values = new float[(int) spec.elements()];
      input.tensors().read(tensor, 0, values, values.length);
      return values;
    }
  }

  @Test
  void aWeightedSumIsTheFormulaRoundedOnce() {
    float[] a = exported("a", 1).values(MATRIX);
    float[] b = exported("b", 2).values(MATRIX);
    float[] c = exported("c", 3).values(MATRIX);
    merge(
        """
        models:
          - {path: "@/a", weight: 3}
          - {path: "@/b", weight: 2}
          - {path: "@/c", weight: -1}
        """,
        "soup");
    merge(
        """
        normalize: false
        output: f32
        models:
          - {path: "@/a", weight: 0.9}
          - {path: "@/b", weight: 0.1, filters: [{tensors: ".*up_proj.*", weight: 0.5}]}
        """,
        "sum");
    float[] soup = result("soup", MATRIX);
    float[] sum = result("sum", MATRIX);
    for (int i = 0; i < a.length; i++) {
      double mean = 3.0 / 4 * a[i] + 2.0 / 4 * b[i] - 1.0 / 4 * c[i];
      assertEquals(nearestBfloat16(mean), soup[i], "element " + i);
      assertEquals((float) (0.9 * a[i] + 0.5 * b[i]), sum[i]);
    }
    float[] down = result("sum", "model.norm.weight");
    float first = TinyModel.tensors(1).values("model.norm.weight")[0];
    float second = TinyModel.tensors(2).values("model.norm.weight")[0];
    assertEquals((float) (0.9 * first + 0.1 * second), down[0]);
  }

  /** Of the two neighbours the nearer one, compared without any rounding. */
  private static float nearestBfloat16(double value) {
    float cut = Float.intBitsToFloat(Float.floatToRawIntBits((float) value) & 0xffff0000);
    float best = cut;
    for (int step = -1; step <= 1; step++) {
      int bits = Float.floatToRawIntBits(cut) + (step << 16);
      float candidate = Float.intBitsToFloat(bits);
      int closer = distance(candidate, value).compareTo(distance(best, value));
      if (closer < 0 || (closer == 0 && (bits >>> 16 & 1) == 0)) {
        best = candidate;
      }
    }
    return best;
  }

  private static BigDecimal distance(float candidate, double value) {
    return new BigDecimal(candidate).subtract(new BigDecimal(value)).abs();
  }

  @Test
  void roundingToOddLeavesTheSecondRoundingExact() {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int i = 0; i < 100_000; i++) {
      // Close to the middle between two bfloat16 values, where rounding twice goes wrong.
      float middle = Float.intBitsToFloat((random.nextInt(0x3000) + 0x3000 << 16) | 0x8000);
      double value = middle * (1 + (random.nextInt(5) - 2) * 0x1p-40);
      value = random.nextBoolean() ? value : -value;
      float rounded = Rounding.fromBfloat16(Rounding.toBfloat16(MergedTensors.roundToOdd(value)));
      assertEquals(nearestBfloat16(value), rounded, "of " + value);
    }
  }

  @Test
  void aModelMergedWithItselfIsItself() {
    float[] values = exported("a", 4).values(MATRIX);
    for (String method : List.of("linear", "slerp")) {
      merge(
          "method: "
              + method
              + "\noutput: f32\nmodels: [{path: \"@/a\", weight: 0.7}, {path: \"@/a\", weight: 0.3}]",
          method);
      assertArrayEquals(values, result(method, MATRIX), method);
    }
  }

  @Test
  void slerpFollowsTheArc() {
    float[] a = exported("a", 5).values(MATRIX);
    float[] b = exported("b", 6).values(MATRIX);
    merge(
        """
        method: slerp
        output: f32
        models: [{path: "@/a", weight: 0}, {path: "@/b", weight: 0.25}]
        """,
        "arc");
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < a.length; i++) {
      dot += (double) a[i] * b[i];
      aa += (double) a[i] * a[i];
      bb += (double) b[i] * b[i];
    }
    double angle = Math.acos(dot / Math.sqrt(aa) / Math.sqrt(bb));
    float[] merged = result("arc", MATRIX);
    for (int i = 0; i < a.length; i++) {
      double expected =
          (Math.sin(0.75 * angle) * a[i] + Math.sin(0.25 * angle) * b[i]) / Math.sin(angle);
      assertEquals(expected, merged[i], 1e-7);
    }
  }

  @Test
  void checkpointsAreMergedIntoACheckpoint() throws IOException {
    FlatLayout layout =
        FlatLayout.of(
            TinyModel.ARCHITECTURE.tensors().stream()
                .map(tensor -> new FlatLayout.Parameter(tensor.name(), tensor.shape()))
                .toList());
    MapTensors a = TinyModel.tensors(7);
    CheckpointState state = CheckpointState.builder(30).tokens(99).build();
    FirstCheckpoint.write(a, layout, CheckpointStore.open(path("run")), state);
    float[] b = exported("b", 8).values(MATRIX);
    merge(
        "models: [{path: \"@/run\", weight: 1}, {path: \"@/b\", weight: 1},"
            + " {path: \"@/run/step-0000000030\", weight: 2}]",
        "merged");
    float[] merged = result("merged", MATRIX);
    for (int i = 0; i < b.length; i++) {
      assertEquals((float) (0.75 * a.values(MATRIX)[i] + 0.25 * b[i]), merged[i], 1e-8);
    }
    assertEquals(
        state, CheckpointStore.open(path("merged")).newestGood(w -> {}).orElseThrow().state());
    assertRefused("models: [{path: \"@/run\", weight: 1}]", "merged", "holds checkpoints already");
  }

  private void assertRefused(String recipe, String result, String complaint) {
    UserException refused = assertThrows(UserException.class, () -> merge(recipe, result));
    assertTrue(refused.getMessage().contains(complaint), refused.getMessage());
    assertEquals(1, refused.getMessage().lines().count(), refused.getMessage());
  }

  @Test
  void modelsThatDoNotFitAreRefused() throws IOException {
    exported("a", 9);
    exported("b", 10);
    Files.writeString(folder.resolve("a/tokenizer.json"), "{}");
    Files.writeString(folder.resolve("b/tokenizer.json"), "{\"model\":{\"vocab\":{\"a\":0}}}");
    String both = "models: [{path: \"@/a\", weight: 1}, {path: \"@/b\", weight: 1}]";
    assertRefused(both, "x", "the vocabulary differs");
    Files.delete(folder.resolve("b/tokenizer.json"));
    assertRefused(
        "models: [{path: \"@/a\", weight: 1, filters: [{tensors: \"mlp\", weight: 2}]}]",
        "x",
        "fits no tensor");
    assertRefused("models: [{path: \"@/none\", weight: 1}]", "x", "does not exist");
    assertRefused(
        "models: [{path: \"@/a\", weight: 1}, {path: \"@/b\", weight: -1}]", "x", "nothing");
    assertRefused("method: slerp\nmodels: [{path: \"@/a\", weight: 1}]", "x", "exactly two");
    assertTrue(Files.notExists(folder.resolve("x")));
  }

  @Test
  void anotherVocabularyIsNamed() {
    MapTensors small = TinyModel.tensors(1);
    MapTensors large = TinyModel.tensors(1);
    large.put(
        new TensorSpec("model.embed_tokens.weight", DType.F32, List.of(300L, 64L)),
        new float[300 * 64]);
    MergeConfig config =
        ConfigurationReader.parse(
            MergeConfig.class, "models: [{path: a, weight: 1}, {path: b, weight: 1}]", "x.yaml");
    UserException differs =
        assertThrows(
            UserException.class, () -> new MergedTensors(config, List.of(small, large), DType.F32));
    assertTrue(differs.getMessage().startsWith("the vocabulary differs"), differs.getMessage());
  }
}
