package org.pretrain4j.checkpoints.huggingface;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.ForeignJson;
import org.pretrain4j.checkpoints.tensors.StagedCheck;
import org.pretrain4j.checkpoints.tensors.StagedFolder;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.checkpoints.tensors.WeightsWriter;
import org.pretrain4j.configuration.UserException;

/** Writes a model as a folder that transformers, vLLM and others open. */
public final class HuggingFaceExport {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** Largest file, as the writers of this format have it. */
  public static final long DEFAULT_FILE_BYTES = 5_000_000_000L;

  // Taken along if they lie beside the tokenizer.json.
  private static final List<String> TOKENIZER_FILES =
      List.of("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja");

  private final DurableFileSystem files;
  private final DType dtype;
  private final long maxFileBytes;

  /** An export with files of the usual size. */
  public HuggingFaceExport(DurableFileSystem files, DType dtype) {
    this(files, dtype, DEFAULT_FILE_BYTES);
  }

  /**
   * An export.
   *
   * @param dtype F32, BF16 or F16
   * @param maxFileBytes largest size of a file of weights
   */
  public HuggingFaceExport(DurableFileSystem files, DType dtype, long maxFileBytes) {
    this.files = files;
    this.dtype = dtype;
    this.maxFileBytes = maxFileBytes;
  }

  /**
   * Writes a model, reads its weights back and compares them, and lets the folder appear.
   *
   * @param tokenizer path of its tokenizer.json
   * @param folder where to; must not exist
   * @throws UserException if the tensors are not those of the architecture, the folder exists, or
   *     it can't be written
   */
  public void export(
      TensorSource tensors, ModelArchitecture architecture, Optional<Path> tokenizer, Path folder) {
    export(tensors, architecture, tokenizer, folder, StagedCheck.NONE);
  }

  /**
   * The same, with a last look at the folder before it appears.
   *
   * @param check what it throws is passed on, and nothing stays behind
   */
  public void export(
      TensorSource tensors,
      ModelArchitecture architecture,
      Optional<Path> tokenizer,
      Path folder,
      StagedCheck check) {
    ModelTensors model = ModelTensors.of(tensors, architecture);
    try (StagedFolder staged = StagedFolder.create(files, folder)) {
      Path path = staged.path();
      new WeightsWriter(files, dtype, maxFileBytes).write(model, path);
      files.write(new Path(path, "config.json"), HuggingFaceConfig.write(architecture, dtype));
      files.write(
          new Path(path, "generation_config.json"),
          HuggingFaceConfig.writeGeneration(architecture));
      if (tokenizer.isPresent()) {
        copyTokenizer(tokenizer.get(), architecture, path);
      }
      check.check(path);
      staged.publish();
    } catch (IOException e) {
      throw new UserException(
          "the model can't be written to %s: %s".formatted(folder, e.getMessage()), e);
    }
  }

  private void copyTokenizer(Path tokenizer, ModelArchitecture architecture, Path folder)
      throws IOException {
    DurableFileSystem theirs = files.holding(tokenizer);
    byte[] content = theirs.read(tokenizer);
    files.write(new Path(folder, "tokenizer.json"), content);
    for (String name : TOKENIZER_FILES) {
      Path beside = new Path(tokenizer.getParent(), name);
      if (theirs.exists(beside)) {
        files.write(new Path(folder, name), theirs.read(beside));
      }
    }
    Path config = new Path(folder, "tokenizer_config.json");
    if (!files.exists(config)) {
      files.write(
          config, tokenizerConfig(ForeignJson.parse(tokenizer.toString(), content), architecture));
    }
  }

  private static byte[] tokenizerConfig(JsonNode tokenizer, ModelArchitecture architecture)
      throws IOException {
    ObjectNode json = JSON.createObjectNode();
    json.put("tokenizer_class", "PreTrainedTokenizerFast");
    json.put("model_max_length", architecture.maxPositionEmbeddings());
    json.put("clean_up_tokenization_spaces", false);
    // No text begins with this token during training, so none is to be added.
    json.putNull("bos_token");
    putToken(json, "eos_token", tokenizer, architecture.eosTokenId());
    putToken(json, "pad_token", tokenizer, architecture.padTokenId());
    return JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(json);
  }

  private static void putToken(ObjectNode json, String key, JsonNode tokenizer, OptionalInt id) {
    for (JsonNode token : tokenizer.path("added_tokens")) {
      if (id.isPresent() && token.path("id").asInt(-1) == id.getAsInt()) {
        json.put(key, token.path("content").asText());
        return;
      }
    }
    json.putNull(key);
  }
}
