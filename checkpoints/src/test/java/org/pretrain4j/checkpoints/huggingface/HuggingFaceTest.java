package org.pretrain4j.checkpoints.huggingface;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.TreeSet;
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
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem.Survival;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.CheckpointTensors;
import org.pretrain4j.checkpoints.tensors.MapTensors;
import org.pretrain4j.checkpoints.tensors.Rounding;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

class HuggingFaceTest {
  private static final ModelArchitecture MODEL = TinyModel.ARCHITECTURE;

  @TempDir Path folder;
  private DurableFileSystem files;
  private Path exported;

  @BeforeEach
  void open() throws IOException {
    files = DurableFileSystem.of(FileSystem.getLocal(new Configuration()));
    exported = folder.resolve("exported");
  }

  private static org.apache.hadoop.fs.Path hadoop(Path path) {
    return new org.apache.hadoop.fs.Path(path.toUri());
  }

  private void export(TensorSource tensors, DType dtype, long maxFileBytes) {
    new HuggingFaceExport(files, dtype, maxFileBytes)
        .export(tensors, MODEL, Optional.empty(), hadoop(exported));
  }

  private static float[] read(TensorSource source, TensorSpec tensor) {
    float[] values = new float[(int) tensor.elements()];
    source.read(tensor.name(), 0, values, values.length);
    return values;
  }

  @Test
  void fp32ComesBackBitForBitAndTrainingGoesOnFromIt() throws IOException {
    MapTensors tensors = TinyModel.tensors(1);
    export(tensors, DType.F32, 100_000);
    assertTrue(Files.exists(exported.resolve("model.safetensors.index.json")));
    FlatLayout layout =
        FlatLayout.of(
            MODEL.tensors().stream()
                .map(tensor -> new FlatLayout.Parameter(tensor.name(), tensor.shape()))
                .toList());
    CheckpointStore store =
        new CheckpointStore(
            FileSystem.getLocal(new Configuration()), hadoop(folder.resolve("checkpoints")));
    try (HuggingFaceModel model = HuggingFaceModel.open(files, hadoop(exported))) {
      assertEquals(MODEL, model.architecture());
      FirstCheckpoint.write(model.tensors(), layout, store, CheckpointState.builder(0).build());
    }
    Checkpoint checkpoint = store.newestGood(warning -> {}).orElseThrow();
    TensorSource imported = new CheckpointTensors(checkpoint);
    for (TensorSpec tensor : MODEL.tensors()) {
      assertArrayEquals(tensors.values(tensor.name()), read(imported, tensor), tensor.name());
    }
    float[] moments = new float[1000];
    checkpoint.read(
        "exp_avg",
        new org.pretrain4j.checkpoints.FlatRange(0, 1000),
        java.lang.foreign.MemorySegment.ofArray(moments));
    assertArrayEquals(new float[1000], moments);
  }

  @Test
  void whatACrashedExportLeftGoesWithTheNextOne() throws IOException {
    Path left = Files.createDirectories(folder.resolve(".exported.writing"));
    Files.writeString(left.resolve("model-00001-of-00009.safetensors"), "half");
    export(TinyModel.tensors(1), DType.BF16, HuggingFaceExport.DEFAULT_FILE_BYTES);
    assertFalse(Files.exists(left));
    assertFalse(Files.exists(exported.resolve("model-00001-of-00009.safetensors")));
  }

  @Test
  void aTornIndexIsNamedInOneLine() throws IOException {
    export(TinyModel.tensors(1), DType.F32, 100_000);
    Files.writeString(exported.resolve("model.safetensors.index.json"), "{\"weight_map\": {\n");
    UserException torn =
        assertThrows(UserException.class, () -> HuggingFaceModel.open(files, hadoop(exported)));
    assertTrue(torn.getMessage().contains("index.json is no JSON"), torn.getMessage());
    assertEquals(1, torn.getMessage().lines().count(), torn.getMessage());
  }

  @Test
  void bfloat16IsRoundedOnce() {
    MapTensors tensors = TinyModel.tensors(2);
    export(tensors, DType.BF16, HuggingFaceExport.DEFAULT_FILE_BYTES);
    assertFalse(Files.exists(exported.resolve("model.safetensors.index.json")));
    try (HuggingFaceModel model = HuggingFaceModel.open(files, hadoop(exported))) {
      for (TensorSpec tensor : MODEL.tensors()) {
        float[] original = tensors.values(tensor.name());
        float[] stored = read(model.tensors(), tensor);
        for (int i = 0; i < stored.length; i++) {
          assertEquals(Rounding.fromBfloat16(Rounding.toBfloat16(original[i])), stored[i]);
        }
      }
    }
  }

  @Test
  void configJsonHasAllKeysOfTheReleasedModel() throws IOException {
    export(TinyModel.tensors(3), DType.BF16, HuggingFaceExport.DEFAULT_FILE_BYTES);
    JsonNode config = json("config.json");
    for (String key :
        ("architectures attention_bias attention_dropout bos_token_id eos_token_id hidden_act"
                + " hidden_size initializer_range intermediate_size layer_types"
                + " max_position_embeddings max_window_layers mlp_bias model_type"
                + " no_rope_layer_interval no_rope_layers num_attention_heads num_hidden_layers"
                + " num_key_value_heads pad_token_id pretraining_tp rms_norm_eps rope_scaling"
                + " rope_theta sliding_window torch_dtype transformers_version use_cache"
                + " use_sliding_window vocab_size")
            .split(" ")) {
      assertTrue(config.has(key), key);
    }
    assertEquals("[1,1,1,0]", config.get("no_rope_layers").toString());
    assertEquals("SmolLM3ForCausalLM", config.get("architectures").get(0).asText());
    assertEquals("bfloat16", config.get("torch_dtype").asText());
    assertEquals(257, config.get("eos_token_id").asInt());
    assertTrue(config.get("bos_token_id").isNull());
    JsonNode generation = json("generation_config.json");
    assertEquals(0.6, generation.get("temperature").asDouble());
    assertEquals(0.95, generation.get("top_p").asDouble());
  }

  private JsonNode json(String name) throws IOException {
    return JsonMapper.builder().build().readTree(exported.resolve(name).toFile());
  }

  @Test
  void theTokenizerAndWhatLiesBesideItComeAlong() throws IOException {
    Path tokenizers = Files.createDirectory(folder.resolve("tokenizer"));
    Files.writeString(
        tokenizers.resolve("tokenizer.json"),
        "{\"added_tokens\":[{\"id\":257,\"content\":\"<|end_of_text|>\"}]}");
    Files.writeString(tokenizers.resolve("chat_template.jinja"), "{{ messages }}");
    new HuggingFaceExport(files, DType.BF16)
        .export(
            TinyModel.tensors(3),
            MODEL,
            Optional.of(hadoop(tokenizers.resolve("tokenizer.json"))),
            hadoop(exported));
    assertEquals("<|end_of_text|>", json("tokenizer_config.json").get("eos_token").asText());
    assertTrue(json("tokenizer_config.json").get("bos_token").isNull());
    assertEquals("{{ messages }}", Files.readString(exported.resolve("chat_template.jinja")));
    assertTrue(json("tokenizer.json").has("added_tokens"));
  }

  @Test
  void oldAndNewRopeKeysAndAnAbsentTieAreUnderstood() throws IOException {
    export(TinyModel.tensors(4), DType.F32, 1000);
    Path config = exported.resolve("config.json");
    String text = Files.readString(config);
    String newer =
        text.replaceFirst(
                "\"rope_theta\" : [^,]*,",
                "\"rope_parameters\":{\"rope_theta\":50000.0,\"rope_type\":\"default\"},")
            .replaceFirst("\"rope_scaling\" : null,", "")
            .replaceFirst("\"torch_dtype\"", "\"dtype\"")
            .replaceFirst("\"tie_word_embeddings\" : true,", "")
            .replaceFirst("\"head_dim\" : 16,", "")
            .replaceFirst("\"no_rope_layers\" : [^]]*],", "");
    Files.writeString(config, newer);
    try (HuggingFaceModel model = HuggingFaceModel.open(files, hadoop(exported))) {
      assertEquals(MODEL, model.architecture());
    }
    assertRefused(newer.replace("\"default\"", "\"yarn\""), "rope_type 'yarn'");
    assertRefused(text.replace("smollm3", "mamba"), "unknown model_type 'mamba'");
    assertRefused(text.replace("\"hidden_size\" : 64", "\"hidden_size\" : 72"), "has the shape");
    assertRefused(text.replace("\"vocab_size\" : 258", "\"vocab_size\" : \"x\""), "vocab_size");
    assertRefused(text.replace("\"mlp_bias\" : false", "\"mlp_bias\" : true"), "mlp_bias");
    assertRefused(
        text.replaceFirst("\"no_rope_layers\" : [^]]*]", "\"no_rope_layers\":[1,0,0,1]"),
        "no_rope_layers");
    assertRefused("{", "is no JSON");
    assertRefused(
        text.replace("\"num_hidden_layers\" : 4", "\"num_hidden_layers\" : 3")
            .replaceFirst("\"no_rope_layers\" : [^]]*],", ""),
        "no place for");
  }

  private void assertRefused(String config, String complaint) throws IOException {
    Files.writeString(exported.resolve("config.json"), config);
    assertRefused(complaint);
  }

  private void assertRefused(String complaint) {
    UserException refused =
        assertThrows(
            UserException.class, () -> HuggingFaceModel.open(files, hadoop(exported)).close());
    assertTrue(refused.getMessage().contains(complaint), refused.getMessage());
    assertEquals(1, refused.getMessage().lines().count(), refused.getMessage());
  }

  @Test
  void anIndexThatLiesIsRefused() throws IOException {
    export(TinyModel.tensors(5), DType.BF16, 60_000);
    Path index = exported.resolve("model.safetensors.index.json");
    String text = Files.readString(index);
    for (String outside :
        List.of("../secret.safetensors", "/etc/x.safetensors", "a/b.safetensors", "passwd")) {
      Files.writeString(
          index,
          text.replaceFirst("\"model-00001-of-0000\\d.safetensors\"", "\"" + outside + "\""));
      assertRefused("which is refused");
    }
    Files.writeString(index, text.replaceFirst("model-00001-of-", "model-00002-of-"));
    assertRefused("does not hold the tensor");
    Files.writeString(index, text);
    Path first = exported.resolve(new TreeSet<>(List.of(names())).first());
    Path second = exported.resolve(new TreeSet<>(List.of(names())).last());
    byte[] content = Files.readAllBytes(first);
    Files.delete(first);
    assertRefused("is missing");
    Files.write(first, content);
    Files.copy(first, second, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    assertRefused("appears in two files");
  }

  private String[] names() throws IOException {
    try (var list = Files.list(exported)) {
      return list.map(path -> path.getFileName().toString())
          .filter(name -> name.startsWith("model-"))
          .toArray(String[]::new);
    }
  }

  @Test
  void aTiedHeadMayBeStoredIfItIsTheEmbedding() {
    MapTensors tensors = TinyModel.tensors(6);
    TensorSpec head = new TensorSpec("lm_head.weight", DType.F32, List.of(258L, 64L));
    tensors.put(head, tensors.values(ModelArchitecture.EMBEDDING).clone());
    assertEquals(MODEL.tensors(), ModelTensors.of(tensors, MODEL).tensors());
    tensors.values("lm_head.weight")[7] += 1;
    UserException other = assertThrows(UserException.class, () -> ModelTensors.of(tensors, MODEL));
    assertTrue(other.getMessage().contains("tied"), other.getMessage());
    tensors.remove("lm_head.weight");
    tensors.remove("model.norm.weight");
    UserException missing =
        assertThrows(UserException.class, () -> ModelTensors.of(tensors, MODEL));
    assertTrue(missing.getMessage().contains("lacks the tensor model.norm.weight"));
  }

  @Test
  void anExistingFolderIsNotOverwritten() throws IOException {
    Files.createDirectory(exported);
    UserException exists =
        assertThrows(UserException.class, () -> export(TinyModel.tensors(7), DType.BF16, 1L << 30));
    assertTrue(exists.getMessage().contains("exists already"), exists.getMessage());
  }

  @Test
  void aCrashAnywhereLeavesTheWholeModelOrNone() throws IOException {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    ModelArchitecture small =
        new ModelArchitecture(
            8,
            4,
            4,
            1,
            1,
            1,
            4,
            1e4,
            4,
            1e-6,
            0.02,
            16,
            true,
            OptionalInt.empty(),
            OptionalInt.empty(),
            OptionalInt.empty());
    MapTensors tensors = MapTensors.random(small.tensors(), 1);
    org.apache.hadoop.fs.Path target = new org.apache.hadoop.fs.Path("crash:///models/tiny");
    CrashingFileSystem counting = new CrashingFileSystem();
    new HuggingFaceExport(counting.durable(), DType.BF16, 100)
        .export(tensors, small, Optional.empty(), target);
    boolean whole = false;
    for (long crash = 0; crash <= counting.operations(); crash++) {
      for (Survival survival : Survival.values()) {
        CrashingFileSystem disk = new CrashingFileSystem();
        disk.crashAfter(crash);
        try {
          new HuggingFaceExport(disk.durable(), DType.BF16, 100)
              .export(tensors, small, Optional.empty(), target);
        } catch (UserException e) {
          assertTrue(e.getMessage().contains("crashed"), e.getMessage());
        }
        DurableFileSystem left = disk.afterCrash(survival, random).durable();
        if (left.exists(target)) {
          whole = true;
          try (HuggingFaceModel model = HuggingFaceModel.open(left, target)) {
            assertEquals(small, model.architecture());
            for (TensorSpec tensor : small.tensors()) {
              float[] stored = read(model.tensors(), tensor);
              float[] original = tensors.values(tensor.name());
              for (int i = 0; i < stored.length; i++) {
                assertEquals(Rounding.fromBfloat16(Rounding.toBfloat16(original[i])), stored[i]);
              }
            }
          }
        }
      }
    }
    assertTrue(whole);
  }
}
