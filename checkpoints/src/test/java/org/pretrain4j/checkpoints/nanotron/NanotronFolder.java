package org.pretrain4j.checkpoints.nanotron;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.SafetensorsWriter;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.MapTensors;

/** Writes a model as nanotron does, with two ranks of tensor parallelism: step 40000 of a run. */
public final class NanotronFolder {
  private static final int TENSOR_PARALLEL = 2;

  private final Path step;
  private final MapTensors tensors;
  private final DurableFileSystem files;

  private NanotronFolder(Path step, MapTensors tensors) throws IOException {
    this.step = step;
    this.tensors = tensors;
    this.files = DurableFileSystem.of(FileSystem.getLocal(new Configuration()));
  }

  public static void write(Path folder, ModelArchitecture model, MapTensors tensors)
      throws IOException {
    Files.createDirectories(folder.resolve("40000"));
    Files.writeString(folder.resolve("latest.txt"), "40000");
    Files.writeString(
        folder.resolve("40000/model_config.json"),
        String.format(
            Locale.ROOT,
            """
            {"hidden_size":%d,"intermediate_size":%d,"num_hidden_layers":%d,"num_attention_heads":%d,
             "num_key_value_heads":%d,"vocab_size":%d,"rope_theta":%s,"no_rope_layer":%d,
             "rms_norm_eps":%s,"max_position_embeddings":%d,"tie_word_embeddings":true,
             "bos_token_id":null,"eos_token_id":%d,"rope_interleaved":false}
            """,
            model.hiddenSize(),
            model.intermediateSize(),
            model.numHiddenLayers(),
            model.numAttentionHeads(),
            model.numKeyValueHeads(),
            model.vocabSize(),
            model.ropeTheta(),
            model.noRopeLayerInterval(),
            model.rmsNormEps(),
            model.maxPositionEmbeddings(),
            model.eosTokenId().orElseThrow()));
    new NanotronFolder(folder.resolve("40000"), tensors).write(model);
  }

  private void write(ModelArchitecture model) throws IOException {
    int hidden = model.hiddenSize();
    rows("token_position_embeddings/pp_block/token_embedding", hidden, "model.embed_tokens.weight");
    for (int layer = 0; layer < model.numHiddenLayers(); layer++) {
      String block = "decoder/" + layer + "/pp_block/";
      String prefix = "model.layers." + layer + ".";
      whole(block + "input_layernorm", prefix + "input_layernorm.weight");
      rows(
          block + "attn/qkv_proj",
          hidden,
          prefix + "self_attn.q_proj.weight",
          prefix + "self_attn.k_proj.weight",
          prefix + "self_attn.v_proj.weight");
      columns(
          block + "attn/o_proj",
          prefix + "self_attn.o_proj.weight",
          model.numAttentionHeads() * model.headDim());
      whole(block + "post_attention_layernorm", prefix + "post_attention_layernorm.weight");
      rows(
          block + "mlp/gate_up_proj",
          hidden,
          prefix + "mlp.gate_proj.weight",
          prefix + "mlp.up_proj.weight");
      columns(block + "mlp/down_proj", prefix + "mlp.down_proj.weight", model.intermediateSize());
    }
    whole("final_layer_norm/pp_block", "model.norm.weight");
  }

  private void whole(String module, String tensor) throws IOException {
    float[] values = tensors.values(tensor);
    write(module, "model_weight.safetensors", values, List.of((long) values.length), Map.of());
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

  static String shardName(int rank) {
    return "model_weight_pp-rank-0-of-1_tp-rank-%d-of-%d.safetensors"
        .formatted(rank, TENSOR_PARALLEL);
  }

  private static Map<String, String> metadata(String slices, String shape) {
    return Map.of("version", "1.5", "local_global_slices_pairs", slices, "unsharded_shape", shape);
  }

  private void write(
      String module, String file, float[] values, List<Long> shape, Map<String, String> metadata)
      throws IOException {
    Path target = step.resolve("model/model").resolve(module);
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
}
