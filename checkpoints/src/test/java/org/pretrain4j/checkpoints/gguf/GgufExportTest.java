package org.pretrain4j.checkpoints.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.huggingface.TinyModel;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem;
import org.pretrain4j.checkpoints.storage.CrashingFileSystem.Survival;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.MapTensors;
import org.pretrain4j.configuration.UserException;

class GgufExportTest {
  private static final ModelArchitecture MODEL = TinyModel.ARCHITECTURE;

  @TempDir Path folder;
  private DurableFileSystem files;

  @BeforeEach
  void open() throws IOException {
    files = DurableFileSystem.of(FileSystem.getLocal(new Configuration()));
  }

  private GgufFile export(MapTensors tensors, GgufType type, Optional<Path> tokenizer)
      throws IOException {
    Path file = folder.resolve(type + ".gguf");
    new GgufExport(files, type)
        .export(
            tensors,
            MODEL,
            tokenizer.map(path -> new org.apache.hadoop.fs.Path(path.toUri())),
            "tiny",
            new org.apache.hadoop.fs.Path(file.toUri()));
    return new GgufFile(file);
  }

  @ParameterizedTest
  @EnumSource(GgufType.class)
  void anIndependentReaderFindsTheValues(GgufType type) throws IOException {
    MapTensors tensors = TinyModel.tensors(11);
    GgufFile file = export(tensors, type, Optional.empty());
    assertEquals(4 * 9 + 2, file.tensors.size());
    double tolerance =
        switch (type) {
          case F32 -> 0;
          case F16 -> 1.0 / 2048;
          case BF16 -> 1.0 / 256;
          case Q8_0 -> 0;
        };
    GgufFile.Tensor down = file.tensors.get("blk.2.ffn_down.weight");
    assertArrayEquals(new long[] {96, 64}, down.dimensions());
    float[] expected = tensors.values("model.layers.2.mlp.down_proj.weight");
    for (int i = 0; i < expected.length; i++) {
      double allowed = Math.abs(expected[i]) * tolerance;
      if (type == GgufType.Q8_0) {
        float largest = 0;
        for (int j = i / 32 * 32; j < i / 32 * 32 + 32; j++) {
          largest = Math.max(largest, Math.abs(expected[j]));
        }
        // Half a step, and the rounding of the scale to f16.
        allowed = largest / 254 + largest / 2048;
      }
      assertEquals(expected[i], down.values()[i], allowed + 1e-12, type + " " + i);
    }
    assertEquals(0, file.tensors.get("blk.3.attn_norm.weight").type());
    assertArrayEquals(
        tensors.values("model.norm.weight"), file.tensors.get("output_norm.weight").values());
    assertFalse(file.tensors.containsKey("output.weight"));
  }

  @Test
  void queriesAndKeysAreWrittenForAdjacentPairs() throws IOException {
    MapTensors tensors = TinyModel.tensors(12);
    GgufFile file = export(tensors, GgufType.F32, Optional.empty());
    float[] halves = tensors.values("model.layers.1.self_attn.k_proj.weight");
    float[] pairs = file.tensors.get("blk.1.attn_k.weight").values();
    int width = 16;
    for (int head = 0; head < 2; head++) {
      for (int pair = 0; pair < width / 2; pair++) {
        for (int column = 0; column < 64; column++) {
          int base = head * width;
          assertEquals(halves[(base + pair) * 64 + column], pairs[(base + 2 * pair) * 64 + column]);
          assertEquals(
              halves[(base + pair + width / 2) * 64 + column],
              pairs[(base + 2 * pair + 1) * 64 + column]);
        }
      }
    }
    assertArrayEquals(
        tensors.values("model.layers.1.self_attn.v_proj.weight"),
        file.tensors.get("blk.1.attn_v.weight").values());
  }

  @Test
  void keysAndTokenizerAreThere() throws IOException {
    Path tokenizer = folder.resolve("tokenizer.json");
    Files.writeString(
        tokenizer,
        """
        {"added_tokens":[{"id":3,"content":"<|end|>","special":true},{"id":4,"content":"<think>","special":false}],
         "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"[^x]?\\\\p{L}+|\\\\p{N}{1,3}| "}},{"type":"ByteLevel","use_regex":false}]},
         "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}
        """);
    Files.writeString(folder.resolve("chat_template.jinja"), "{{ messages[:] }}");
    GgufFile file = export(TinyModel.tensors(13), GgufType.Q8_0, Optional.of(tokenizer));
    assertEquals("smollm3", file.keys.get("general.architecture"));
    assertEquals(7, file.keys.get("general.file_type"));
    assertEquals(4, file.keys.get("smollm3.block_count"));
    assertEquals(50_000f, file.keys.get("smollm3.rope.freq_base"));
    assertEquals("llama-bpe", file.keys.get("tokenizer.ggml.pre"));
    assertEquals(List.of("a b"), file.keys.get("tokenizer.ggml.merges"));
    List<?> tokens = (List<?>) file.keys.get("tokenizer.ggml.tokens");
    assertEquals(258, tokens.size());
    assertEquals(List.of("a", "b", "ab", "<|end|>", "<think>", "[PAD5]"), tokens.subList(0, 6));
    assertEquals(
        List.of(1, 1, 1, 3, 4, 5),
        ((List<?>) file.keys.get("tokenizer.ggml.token_type")).subList(0, 6));
    assertEquals(257, file.keys.get("tokenizer.ggml.eos_token_id"));
    assertEquals("{{ messages }}", file.keys.get("tokenizer.chat_template"));
  }

  @Test
  void whatReadersWouldMisunderstandIsRefused() {
    ModelArchitecture everyLayerRotates =
        new ModelArchitecture(
            258,
            64,
            96,
            4,
            4,
            2,
            16,
            50_000,
            0,
            1e-6,
            0.02,
            512,
            true,
            OptionalInt.empty(),
            OptionalInt.of(257),
            OptionalInt.empty());
    UserException refused =
        assertThrows(
            UserException.class,
            () ->
                new GgufExport(files, GgufType.F32)
                    .export(
                        TinyModel.tensors(1),
                        everyLayerRotates,
                        Optional.empty(),
                        "x",
                        new org.apache.hadoop.fs.Path(folder.resolve("x.gguf").toUri())));
    assertTrue(refused.getMessage().contains("no_rope_layer_interval 0"), refused.getMessage());
  }

  @Test
  void aCrashAnywhereLeavesTheWholeFileOrNone() throws IOException {
    long seed = new Random().nextLong();
    System.out.println("seed " + seed);
    org.apache.hadoop.fs.Path target = new org.apache.hadoop.fs.Path("crash:///models/m.gguf");
    CrashingFileSystem counting = new CrashingFileSystem();
    MapTensors tensors = TinyModel.tensors(14);
    new GgufExport(counting.durable(), GgufType.BF16)
        .export(tensors, MODEL, Optional.empty(), "x", target);
    long length = counting.getFileStatus(target).getLen();
    for (long crash = 0; crash <= counting.operations(); crash++) {
      for (Survival survival : Survival.values()) {
        CrashingFileSystem disk = new CrashingFileSystem();
        disk.crashAfter(crash);
        try {
          new GgufExport(disk.durable(), GgufType.BF16)
              .export(tensors, MODEL, Optional.empty(), "x", target);
        } catch (UserException e) {
          assertTrue(e.getMessage().contains("crashed"), e.getMessage());
        }
        DurableFileSystem left = disk.afterCrash(survival, new Random(seed)).durable();
        assertTrue(!left.exists(target) || left.length(target) == length);
      }
    }
  }
}
