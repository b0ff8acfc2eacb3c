package org.pretrain4j.checkpoints.gguf;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.gguf.GgufHeader.GgufTensor;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.huggingface.ModelTensors;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.BlockChecksums;
import org.pretrain4j.checkpoints.storage.ChecksummedOutput;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.StagedCheck;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

/** Writes a model as one GGUF file, a few megabytes at a time. */
public final class GgufExport {
  private static final int PIECE_ELEMENTS = 1 << 20;

  /** The readers of the architecture rotate all layers but every 4th, and ask no file about it. */
  private static final int BUILT_IN_INTERVAL = 4;

  private final DurableFileSystem files;
  private final GgufType type;

  /**
   * An export.
   *
   * @param type how the matrices are stored; vectors are always F32
   */
  public GgufExport(DurableFileSystem files, GgufType type) {
    this.files = files;
    this.type = type;
  }

  /**
   * Writes a model. The file appears whole or not at all.
   *
   * @param tokenizer path of its tokenizer.json; a chat_template.jinja beside it is taken along
   * @param name name of the model, as other programs show it
   * @param file where to; must not exist
   * @throws UserException if the tensors are not those of the architecture, if GGUF has no such
   *     model or tokenizer, if the file exists, or if it can't be written
   */
  public void export(
      TensorSource tensors,
      ModelArchitecture architecture,
      Optional<Path> tokenizer,
      String name,
      Path file) {
    export(tensors, architecture, tokenizer, name, file, StagedCheck.NONE);
  }

  /**
   * The same, with a last look at the file before it appears.
   *
   * @param check what it throws is passed on, and nothing stays behind
   */
  public void export(
      TensorSource tensors,
      ModelArchitecture architecture,
      Optional<Path> tokenizer,
      String name,
      Path file,
      StagedCheck check) {
    requireKnownRotation(architecture);
    ModelTensors model = ModelTensors.of(tensors, architecture);
    Path target = files.qualify(file);
    Path staging = new Path(target.getParent(), "." + target.getName() + ".writing");
    try {
      if (files.exists(target)) {
        throw new UserException(
            target + " exists already and is not overwritten; give another name or delete it");
      }
      GgufHeader header = header(architecture, name);
      if (tokenizer.isPresent()) {
        addTokenizer(header, tokenizer.get(), architecture);
      }
      for (TensorSpec tensor : model.tensors()) {
        header.add(place(tensor, architecture));
      }
      files.createFolder(target.getParent());
      try {
        write(model, header, staging);
        check.check(staging);
        files.rename(staging, target);
      } catch (IOException | RuntimeException e) {
        deleteQuietly(staging, e);
        throw e;
      }
    } catch (IOException e) {
      throw new UserException("%s can't be written: %s".formatted(target, e.getMessage()), e);
    }
  }

  private static void requireKnownRotation(ModelArchitecture architecture) {
    for (int layer = 0; layer < architecture.numHiddenLayers(); layer++) {
      if (architecture.rotates(layer) != ((layer + 1) % BUILT_IN_INTERVAL != 0)) {
        throw new UserException(
            "no_rope_layer_interval %d can't be written to GGUF: readers of smollm3 assume %d"
                .formatted(architecture.noRopeLayerInterval(), BUILT_IN_INTERVAL));
      }
    }
  }

  private GgufHeader header(ModelArchitecture model, String name) {
    GgufHeader header = new GgufHeader();
    header.putString("general.architecture", "smollm3");
    header.putString("general.type", "model");
    header.putString("general.name", name);
    header.putInt("general.file_type", type.fileType());
    header.putInt("general.quantization_version", 2);
    header.putInt("smollm3.block_count", model.numHiddenLayers());
    header.putInt("smollm3.context_length", model.maxPositionEmbeddings());
    header.putInt("smollm3.embedding_length", model.hiddenSize());
    header.putInt("smollm3.feed_forward_length", model.intermediateSize());
    header.putInt("smollm3.attention.head_count", model.numAttentionHeads());
    header.putInt("smollm3.attention.head_count_kv", model.numKeyValueHeads());
    header.putInt("smollm3.attention.key_length", model.headDim());
    header.putInt("smollm3.attention.value_length", model.headDim());
    header.putFloat("smollm3.attention.layer_norm_rms_epsilon", model.rmsNormEps());
    header.putInt("smollm3.rope.dimension_count", model.headDim());
    header.putFloat("smollm3.rope.freq_base", model.ropeTheta());
    header.putInt("smollm3.vocab_size", model.vocabSize());
    return header;
  }

  private void addTokenizer(GgufHeader header, Path tokenizer, ModelArchitecture architecture)
      throws IOException {
    DurableFileSystem theirs = files.holding(tokenizer);
    Path template = new Path(tokenizer.getParent(), "chat_template.jinja");
    GgufTokenizer.add(
        header,
        tokenizer.toString(),
        theirs.read(tokenizer),
        theirs.exists(template)
            ? Optional.of(new String(theirs.read(template), StandardCharsets.UTF_8))
            : Optional.empty(),
        architecture);
  }

  private GgufTensor place(TensorSpec tensor, ModelArchitecture model) {
    List<Long> shape = tensor.shape();
    GgufType stored = shape.size() == 1 ? GgufType.F32 : type;
    if (shape.getLast() % stored.blockElements() != 0) {
      stored = GgufType.F16; // Its rows can't be cut into blocks.
    }
    String name = tensor.name();
    return new GgufTensor(ggufName(name), name, shape, stored, rotatedHeads(name, model));
  }

  /** Number of heads whose rows the file holds in another order; 0 for none. */
  static int rotatedHeads(String name, ModelArchitecture model) {
    if (name.endsWith(".q_proj.weight")) {
      return model.numAttentionHeads();
    }
    return name.endsWith(".k_proj.weight") ? model.numKeyValueHeads() : 0;
  }

  /** The name in the file of a tensor of the model. */
  static String ggufName(String name) {
    return name.replace(ModelArchitecture.EMBEDDING, "token_embd.weight")
        .replace(ModelArchitecture.FINAL_NORM, "output_norm.weight")
        .replace(ModelArchitecture.HEAD, "output.weight")
        .replace("model.layers.", "blk.")
        .replace("input_layernorm", "attn_norm")
        .replace("post_attention_layernorm", "ffn_norm")
        .replace("self_attn.q_proj", "attn_q")
        .replace("self_attn.k_proj", "attn_k")
        .replace("self_attn.v_proj", "attn_v")
        .replace("self_attn.o_proj", "attn_output")
        .replace("mlp.gate_proj", "ffn_gate")
        .replace("mlp.up_proj", "ffn_up")
        .replace("mlp.down_proj", "ffn_down");
  }

  private void write(TensorSource source, GgufHeader header, Path path) throws IOException {
    try (ChecksummedOutput out = files.create(path, BlockChecksums.DEFAULT_BLOCK_BYTES)) {
      byte[] encoded = header.encode();
      out.write(encoded, 0, encoded.length);
      for (GgufTensor tensor : header.tensors()) {
        writeTensor(source, tensor, out);
        out.write(new byte[GgufHeader.ALIGNMENT], 0, (int) (tensor.paddedBytes() - tensor.bytes()));
      }
      out.finish();
    }
  }

  private static void writeTensor(TensorSource source, GgufTensor tensor, ChecksummedOutput out)
      throws IOException {
    int columns = Math.toIntExact(tensor.shape().getLast());
    long rows = tensor.elements() / columns;
    // Rows of a head change places among themselves, so a head is handled at a time.
    int rowsAtOnce =
        tensor.rotatedHeads() > 0
            ? Math.toIntExact(rows / tensor.rotatedHeads())
            : Math.max(1, PIECE_ELEMENTS / columns);
    float[] values = new float[(int) Math.min(rows, rowsAtOnce) * columns];
    float[] ordered = tensor.rotatedHeads() > 0 ? new float[values.length] : values;
    MemorySegment encoded =
        MemorySegment.ofArray(new byte[Math.toIntExact(tensor.type().bytes(values.length))]);
    for (long row = 0; row < rows; row += rowsAtOnce) {
      int length = (int) Math.min(rowsAtOnce, rows - row) * columns;
      source.read(tensor.source(), row * columns, values, length);
      if (tensor.rotatedHeads() > 0) {
        interleave(values, ordered, rowsAtOnce, columns);
      }
      tensor.type().encode(ordered, length, encoded);
      out.write(encoded.asSlice(0, tensor.type().bytes(length)));
    }
  }

  /** From halves, where rows i and i + n/2 are a pair, to adjacent pairs. */
  private static void interleave(float[] halves, float[] pairs, int rows, int columns) {
    for (int row = 0; row < rows; row++) {
      int from = row % 2 * (rows / 2) + row / 2;
      System.arraycopy(halves, from * columns, pairs, row * columns, columns);
    }
  }

  private void deleteQuietly(Path path, Exception reason) {
    try {
      files.delete(path);
    } catch (IOException e) {
      reason.addSuppressed(e);
    }
  }
}
