package org.pretrain4j.checkpoints.merging;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FirstCheckpoint;
import org.pretrain4j.checkpoints.huggingface.HuggingFaceExport;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.TokenizerFiles;
import org.pretrain4j.configuration.UserException;

/** Merges models as a configuration says. */
public final class ModelMerge {
  private ModelMerge() {}

  /**
   * Merges. If the first model is in the Hugging Face format, so is the result; if it is a
   * checkpoint, the result is one of fp32 weights with fresh moments, in a folder of checkpoints.
   *
   * @param folder where to
   * @param open opens a model by the path that the configuration gives
   * @param warn told in one line about a vocabulary that can't be compared
   * @throws UserException if the models can't be read or don't fit together, or if the result can't
   *     be written
   */
  public static void run(
      MergeConfig config, String folder, Function<String, ModelInput> open, Consumer<String> warn) {
    List<ModelInput> inputs = new ArrayList<>();
    try {
      for (MergeConfig.Model model : config.models()) {
        inputs.add(open.apply(model.path()));
      }
      merge(config, inputs, new Path(folder), warn);
    } catch (IOException e) {
      throw new UserException("%s can't be written: %s".formatted(folder, e.getMessage()), e);
    } finally {
      inputs.forEach(ModelInput::close);
    }
  }

  private static void merge(
      MergeConfig config, List<ModelInput> inputs, Path folder, Consumer<String> warn)
      throws IOException {
    ModelInput first = inputs.getFirst();
    requireSameTokenizer(inputs, warn);
    DType output = first.checkpoint().isPresent() ? DType.F32 : config.output().dtype();
    MergedTensors merged =
        new MergedTensors(config, inputs.stream().map(ModelInput::tensors).toList(), output);
    requireSameArchitecture(inputs);
    if (first.checkpoint().isPresent()) {
      Checkpoint checkpoint = first.checkpoint().get();
      CheckpointStore store =
          new CheckpointStore(folder.getFileSystem(new Configuration()), folder);
      if (!store.steps().isEmpty()) {
        throw new UserException(
            "%s holds checkpoints already, none is overwritten; give another folder"
                .formatted(store.root()));
      }
      FirstCheckpoint.write(merged, checkpoint.layout(), store, checkpoint.state());
    } else {
      new HuggingFaceExport(DurableFileSystem.of(folder.getFileSystem(new Configuration())), output)
          .export(merged, first.architecture().orElseThrow(), first.tokenizer(), folder);
    }
  }

  private static void requireSameTokenizer(List<ModelInput> inputs, Consumer<String> warn) {
    Path known = null;
    byte[] content = null;
    for (ModelInput input : inputs) {
      if (input.tokenizer().isEmpty()) {
        continue;
      }
      Path path = input.tokenizer().get();
      byte[] other;
      try {
        other = DurableFileSystem.of(path.getFileSystem(new Configuration())).read(path);
      } catch (IOException e) {
        warn.accept(
            "the vocabulary of %s is not compared, its tokenizer can't be read: %s"
                .formatted(input.tensors().name(), e.getMessage()));
        continue;
      }
      if (known != null
          && !TokenizerFiles.sameVocabulary(known.toString(), content, path.toString(), other)) {
        throw new UserException(
            "the vocabulary differs: %s gives other ids than %s".formatted(path, known));
      }
      known = path;
      content = other;
    }
  }

  /** What the shapes of the tensors don't tell. */
  private static void requireSameArchitecture(List<ModelInput> inputs) {
    ModelInput known = null;
    for (ModelInput input : inputs) {
      if (input.architecture().isEmpty()) {
        continue;
      }
      if (known != null) {
        Map<String, Object> ours = unseen(known.architecture().get());
        Map<String, Object> theirs = unseen(input.architecture().get());
        List<String> different = new ArrayList<>();
        ours.forEach(
            (key, value) -> {
              if (!value.equals(theirs.get(key))) {
                different.add("%s is %s and %s".formatted(key, value, theirs.get(key)));
              }
            });
        if (!different.isEmpty()) {
          throw new UserException(
              "%s and %s compute differently, so their weights can't be merged: %s"
                  .formatted(
                      known.tensors().name(),
                      input.tensors().name(),
                      String.join(", ", different)));
        }
      }
      known = input;
    }
  }

  private static Map<String, Object> unseen(ModelArchitecture model) {
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("num_attention_heads", model.numAttentionHeads());
    values.put("num_key_value_heads", model.numKeyValueHeads());
    values.put("head_dim", model.headDim());
    values.put("rope_theta", model.ropeTheta());
    values.put("no_rope_layer_interval", model.noRopeLayerInterval());
    values.put("rms_norm_eps", model.rmsNormEps());
    return values;
  }
}
