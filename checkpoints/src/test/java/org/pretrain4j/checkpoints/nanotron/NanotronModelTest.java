package org.pretrain4j.checkpoints.nanotron;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.huggingface.TinyModel;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.SafetensorsWriter;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.MapTensors;
import org.pretrain4j.configuration.UserException;

class NanotronModelTest {
  private static final ModelArchitecture MODEL = TinyModel.ARCHITECTURE;
  private static final int TENSOR_PARALLEL = 2;

  @TempDir Path folder;
  private DurableFileSystem files;
  private final MapTensors tensors = TinyModel.tensors(31);

  @BeforeEach
  void writeLikeNanotronWithTwoTensorRanks() throws IOException {
    files = DurableFileSystem.of(FileSystem.getLocal(new Configuration()));
    Files.writeString(folder.resolve("latest.txt"), "40000");
    Files.createDirectories(folder.resolve("40000"));
    Files.writeString(
        folder.resolve("40000/model_config.json"),
        """
        {"hidden_size":64,"intermediate_size":96,"num_hidden_layers":4,"num_attention_heads":4,
         "num_key_value_heads":2,"vocab_size":258,"rope_theta":50000.0,"no_rope_layer":4,
         "rms_norm_eps":1e-06,"max_position_embeddings":512,"tie_word_embeddings":true,
         "bos_token_id":null,"eos_token_id":257,"rope_interleaved":false}
        """);
    rows("token_position_embeddings/pp_block/token_embedding", 64, "model.embed_tokens.weight");
    for (int layer = 0; layer < 4; layer++) {
      String block = "decoder/" + layer + "/pp_block/";
      String prefix = "model.layers." + layer + ".";
      whole(block + "input_layernorm", prefix + "input_layernorm.weight");
      rows(
          block + "attn/qkv_proj",
          64,
          prefix + "self_attn.q_proj.weight",
          prefix + "self_attn.k_proj.weight",
          prefix + "self_attn.v_proj.weight");
      columns(block + "attn/o_proj", prefix + "self_attn.o_proj.weight", 64);
      whole(block + "post_attention_layernorm", prefix + "post_attention_layernorm.weight");
      rows(
          block + "mlp/gate_up_proj",
          64,
          prefix + "mlp.gate_proj.weight",
          prefix + "mlp.up_proj.weight");
      columns(block + "mlp/down_proj", prefix + "mlp.down_proj.weight", 96);
    }
    whole("final_layer_norm/pp_block", "model.norm.weight");
  }

  private void whole(String module, String tensor) throws IOException {
    write(module, "model_weight.safetensors", tensors.values(tensor), List.of(64L), Map.of());
  }

  /** Each rank has half the rows of each of the fused tensors, below each other. */
  private void rows(String module, int columns, String... names) throws IOException {
    int all = 0;
    for (String name : names) {
      all += tensors.values(name).length / columns;
    }
    for (int rank = 0; rank < TENSOR_PARALLEL; rank++) {
      float[] shard = new float[all / TENSOR_PARALLEL * columns];
      StringBuilder slices = new StringBuilder();
      int local = 0;
      int global = 0;
      for (String name : names) {
        float[] values = tensors.values(name);
        int rows = values.length / columns;
        int share = rows / TENSOR_PARALLEL;
        System.arraycopy(values, rank * share * columns, shard, local * columns, share * columns);
        slices.append(slices.isEmpty() ? "" : ";");
        slices.append(
            "%d,%d,None|None,None,None#%d,%d,None|None,None,None"
                .formatted(
                    local, local + share, global + rank * share, global + (rank + 1) * share));
        local += share;
        global += rows;
      }
      write(
          module,
          shardName(rank),
          shard,
          List.of((long) local, (long) columns),
          metadata(slices.toString(), "(%d, np.int64(%d))".formatted(global, columns)));
    }
  }

  private void columns(String module, String tensor, int columns) throws IOException {
    float[] values = tensors.values(tensor);
    int rows = values.length / columns;
    int share = columns / TENSOR_PARALLEL;
    for (int rank = 0; rank < TENSOR_PARALLEL; rank++) {
      float[] shard = new float[rows * share];
      for (int row = 0; row < rows; row++) {
        System.arraycopy(values, row * columns + rank * share, shard, row * share, share);
      }
      write(
          module,
          shardName(rank),
          shard,
          List.of((long) rows, (long) share),
          metadata(
              "None,None,None|None,None,None#None,None,None|%d,%d,None"
                  .formatted(rank * share, (rank + 1) * share),
              "(%d, %d)".formatted(rows, columns)));
    }
  }

  private static String shardName(int rank) {
    return "model_weight_pp-rank-0-of-1_tp-rank-%d-of-%d.safetensors"
        .formatted(rank, TENSOR_PARALLEL);
  }

  private static Map<String, String> metadata(String slices, String shape) {
    return Map.of("version", "1.5", "local_global_slices_pairs", slices, "unsharded_shape", shape);
  }

  private void write(
      String module, String file, float[] values, List<Long> shape, Map<String, String> metadata)
      throws IOException {
    Path target = folder.resolve("40000/model/model").resolve(module);
    Files.createDirectories(target);
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(
            files,
            new org.apache.hadoop.fs.Path(target.resolve(file).toUri()),
            List.of(new TensorSpec("data", DType.F32, shape)),
            metadata)) {
      writer.write(MemorySegment.ofArray(values));
      writer.finish();
    }
  }

  private NanotronModel open() {
    return NanotronModel.open(files, new org.apache.hadoop.fs.Path(folder.toUri()));
  }

  @Test
  void slicesOfAllRanksAreOneModelAgain() {
    try (NanotronModel model = open()) {
      assertEquals(MODEL, model.architecture());
      assertEquals(
          MODEL.tensors().stream().map(TensorSpec::name).sorted().toList(),
          model.tensors().tensors().stream().map(TensorSpec::name).sorted().toList());
      for (TensorSpec tensor : MODEL.tensors()) {
        float[] values = new float[(int) tensor.elements()];
        model.tensors().read(tensor.name(), 0, values, values.length);
        assertArrayEquals(tensors.values(tensor.name()), values, tensor.name());
      }
      // A part that begins and ends in the middle of rows.
      float[] part = new float[333];
      String name = "model.layers.2.mlp.down_proj.weight";
      model.tensors().read(name, 1001, part, part.length);
      assertArrayEquals(java.util.Arrays.copyOfRange(tensors.values(name), 1001, 1334), part);
    }
  }

  @Test
  void aMissingSliceIsNamed() throws IOException {
    Files.delete(
        folder.resolve("40000/model/model/decoder/3/pp_block/mlp/down_proj").resolve(shardName(1)));
    UserException missing = assertThrows(UserException.class, () -> open().close());
    assertTrue(missing.getMessage().contains("decoder/3/pp_block/mlp/down_proj"));
    assertTrue(missing.getMessage().contains("3072 of 6144"), missing.getMessage());
  }

  @Test
  void aFolderThatIsNoCheckpointIsNamed() {
    UserException none =
        assertThrows(
            UserException.class,
            () ->
                NanotronModel.open(
                    files, new org.apache.hadoop.fs.Path(folder.resolve("40000/model").toUri())));
    assertTrue(none.getMessage().contains("no nanotron checkpoint"), none.getMessage());
  }
}
