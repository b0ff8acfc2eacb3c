package org.pretrain4j.checkpoints.nanotron;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.ForeignJson;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

/** The weights of a nanotron checkpoint, open for reading. */
public final class NanotronModel implements AutoCloseable {
  private final ModelArchitecture architecture;
  private final Tensors tensors;

  private NanotronModel(ModelArchitecture architecture, Tensors tensors) {
    this.architecture = architecture;
    this.tensors = tensors;
  }

  /**
   * Opens a checkpoint.
   *
   * @param folder the folder of a step, or the one with latest.txt
   * @throws UserException in one line, if it is not complete or of another kind of model
   */
  public static NanotronModel open(DurableFileSystem files, Path folder) {
    try {
      Path step = folder;
      Path latest = new Path(folder, "latest.txt");
      if (files.exists(latest)) {
        String text = new String(files.read(latest), StandardCharsets.UTF_8).strip();
        if (!text.matches("\\d+")) {
          throw new UserException("%s says '%s', which is no step".formatted(latest, text));
        }
        step = new Path(folder, text);
      }
      Path config = new Path(step, "model_config.json");
      ModelArchitecture architecture = readConfig(config.toString(), files.read(config));
      Tensors tensors = new Tensors(step.toString());
      try {
        tensors.openAll(files, new Path(step, "model"), architecture);
        return new NanotronModel(architecture, tensors);
      } catch (IOException | RuntimeException e) {
        tensors.close();
        throw e;
      }
    } catch (FileNotFoundException e) {
      throw new UserException(
          "%s is no nanotron checkpoint: %s".formatted(folder, e.getMessage()), e);
    } catch (IOException e) {
      throw new UserException("%s can't be read: %s".formatted(folder, e.getMessage()), e);
    }
  }

  private static ModelArchitecture readConfig(String source, byte[] content) {
    JsonNode json = ForeignJson.parse(source, content);
    if (json.path("rope_interleaved").asBoolean(false)
        || json.path("attention_bias").asBoolean(false)
        || json.path("z_loss_enabled").asBoolean(false)) {
      throw new UserException(
          source + ": interleaved rotation, attention_bias and z_loss are not supported");
    }
    int hidden = size(source, json, "hidden_size");
    int heads = size(source, json, "num_attention_heads");
    try {
      return new ModelArchitecture(
          size(source, json, "vocab_size"),
          hidden,
          size(source, json, "intermediate_size"),
          size(source, json, "num_hidden_layers"),
          heads,
          size(source, json, "num_key_value_heads"),
          json.hasNonNull("head_dim") ? size(source, json, "head_dim") : hidden / heads,
          json.path("rope_theta").asDouble(10_000),
          json.path("no_rope_layer").asInt(0),
          json.path("rms_norm_eps").asDouble(1e-6),
          json.path("initializer_range").asDouble(0.02),
          json.path("max_position_embeddings").asInt(4096),
          json.path("tie_word_embeddings").asBoolean(false),
          id(json, "bos_token_id"),
          id(json, "eos_token_id"),
          id(json, "pad_token_id"));
    } catch (IllegalArgumentException e) {
      throw new UserException("%s is inconsistent: %s".formatted(source, e.getMessage()), e);
    }
  }

  private static int size(String source, JsonNode json, String key) {
    if (!json.path(key).isInt() || json.path(key).intValue() <= 0) {
      throw new UserException(
          "%s: %s must be a positive number, not %s".formatted(source, key, json.path(key)));
    }
    return json.path(key).intValue();
  }

  private static OptionalInt id(JsonNode json, String key) {
    return json.path(key).isInt() ? OptionalInt.of(json.path(key).intValue()) : OptionalInt.empty();
  }

  /** The sizes of the model. */
  public ModelArchitecture architecture() {
    return architecture;
  }

  /** Its tensors under their Hugging Face names. */
  public TensorSource tensors() {
    return tensors;
  }

  @Override
  public void close() {
    tensors.close();
  }

  /** Rows of a fused parameter. */
  private record Part(TensorSpec spec, NanotronParameter parameter, long firstRow) {}

  private static final class Tensors implements TensorSource {
    private final String name;
    private final Map<String, Part> parts = new LinkedHashMap<>();
    private final List<NanotronParameter> open = new ArrayList<>();

    Tensors(String name) {
      this.name = name;
    }

    void openAll(DurableFileSystem files, Path model, ModelArchitecture architecture)
        throws IOException {
      Map<String, TensorSpec> specs = new LinkedHashMap<>();
      architecture.tensors().forEach(spec -> specs.put(spec.name(), spec));
      String root = "model/";
      open(
          files,
          model,
          root + "token_position_embeddings/pp_block/token_embedding",
          specs,
          ModelArchitecture.EMBEDDING);
      for (int layer = 0; layer < architecture.numHiddenLayers(); layer++) {
        String block = root + "decoder/" + layer + "/pp_block/";
        String prefix = ModelArchitecture.layerPrefix(layer);
        open(files, model, block + "input_layernorm", specs, prefix + "input_layernorm.weight");
        open(
            files,
            model,
            block + "attn/qkv_proj",
            specs,
            prefix + "self_attn.q_proj.weight",
            prefix + "self_attn.k_proj.weight",
            prefix + "self_attn.v_proj.weight");
        open(files, model, block + "attn/o_proj", specs, prefix + "self_attn.o_proj.weight");
        open(
            files,
            model,
            block + "post_attention_layernorm",
            specs,
            prefix + "post_attention_layernorm.weight");
        open(
            files,
            model,
            block + "mlp/gate_up_proj",
            specs,
            prefix + "mlp.gate_proj.weight",
            prefix + "mlp.up_proj.weight");
        open(files, model, block + "mlp/down_proj", specs, prefix + "mlp.down_proj.weight");
      }
      open(files, model, root + "final_layer_norm/pp_block", specs, ModelArchitecture.FINAL_NORM);
      if (!architecture.tieWordEmbeddings()) {
        open(files, model, root + "lm_head/pp_block", specs, ModelArchitecture.HEAD);
      }
    }

    /** Opens a parameter that holds one tensor, or several one below the other. */
    private void open(
        DurableFileSystem files,
        Path model,
        String folder,
        Map<String, TensorSpec> specs,
        String... names)
        throws IOException {
      NanotronParameter parameter = NanotronParameter.open(files, new Path(model, folder));
      open.add(parameter);
      long row = 0;
      for (String tensor : names) {
        TensorSpec spec = specs.get(tensor);
        parts.put(tensor, new Part(spec, parameter, row));
        row += spec.shape().size() == 1 ? 1 : spec.shape().getFirst();
        if (parameter.columns() != spec.shape().getLast()) {
          row = -1;
          break;
        }
      }
      if (row != parameter.rows()) {
        throw new UserException(
            "%s/%s has the shape [%d, %d], which does not fit model_config.json"
                .formatted(model, folder, parameter.rows(), parameter.columns()));
      }
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public List<TensorSpec> tensors() {
      return parts.values().stream().map(Part::spec).toList();
    }

    @Override
    public void read(String tensor, long from, float[] into, int length) {
      Part part = parts.get(tensor);
      if (part == null) {
        throw new UserException(name + " has no tensor " + tensor);
      }
      part.parameter().read(part.firstRow() * part.parameter().columns() + from, into, length);
    }

    @Override
    public void close() {
      for (NanotronParameter parameter : open) {
        try {
          parameter.close();
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }
    }
  }
}
