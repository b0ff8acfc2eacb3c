package org.pretrain4j.trainer.exchange;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.CheckpointState;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FirstCheckpoint;
import org.pretrain4j.checkpoints.huggingface.ModelTensors;
import org.pretrain4j.checkpoints.tensors.TokenizerFiles;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.run.CheckpointSearch;
import org.pretrain4j.trainer.run.RunConfig;

/**
 * Makes a model the beginning of a run: a checkpoint of step 0 with its weights and moments that
 * are zero, from which training goes on.
 */
public final class ModelImport {
  private ModelImport() {}

  /**
   * Writes the first checkpoint of a run.
   *
   * @param warn told in one line about what differs but may
   * @return the folder of the checkpoint
   * @throws UserException if the run has begun, or if the model or its vocabulary is another one
   *     than the run's
   */
  public static Path run(StoredModel model, RunConfig run, Consumer<String> warn) {
    requireSameSizes(model, run.model());
    if (model.config().ropeTheta() != run.model().ropeTheta()) {
      warn.accept(
          "model.rope_theta is %s in the run and %s in %s; the run's is taken"
              .formatted(run.model().ropeTheta(), model.config().ropeTheta(), model.name()));
    }
    requireSameVocabulary(model, run);
    CheckpointStore store = CheckpointStore.open(run.checkpoints().folder().orElseThrow());
    if (!store.steps().isEmpty()) {
      throw new UserException(
          "%s holds checkpoints already, none is overwritten; set another name or delete them"
              .formatted(store.root()));
    }
    run.checkpoints().mirrorFolder().ifPresent(CheckpointSearch::requireNoCopies);
    CheckpointState state =
        CheckpointState.builder(0)
            .stage(run.stages().getFirst().name())
            .seed(run.seed())
            .configuration(ConfigurationWriter.toYaml(run))
            .versions(Map.of("imported_from", model.name()))
            .build();
    FirstCheckpoint.write(
        ModelTensors.of(model.tensors(), Architectures.of(run.model(), OptionalInt.empty())),
        ModelLayout.of(run.model()).parameters(),
        store,
        state);
    return store.open(0).folder();
  }

  private static void requireSameSizes(StoredModel model, ModelConfig run) {
    ModelConfig theirs = model.config();
    List<String> different = new ArrayList<>();
    compare(different, "vocab_size", run.vocabSize(), theirs.vocabSize());
    compare(different, "hidden_size", run.hiddenSize(), theirs.hiddenSize());
    compare(different, "intermediate_size", run.intermediateSize(), theirs.intermediateSize());
    compare(different, "num_hidden_layers", run.numHiddenLayers(), theirs.numHiddenLayers());
    compare(different, "num_attention_heads", run.numAttentionHeads(), theirs.numAttentionHeads());
    compare(different, "num_key_value_heads", run.numKeyValueHeads(), theirs.numKeyValueHeads());
    compare(different, "head_dim", run.headDim(), theirs.headDim());
    compare(
        different,
        "no_rope_layer_interval",
        run.noRopeLayerInterval(),
        theirs.noRopeLayerInterval());
    compare(different, "rms_norm_eps", run.rmsNormEps(), theirs.rmsNormEps());
    compare(different, "tie_word_embeddings", run.tieWordEmbeddings(), theirs.tieWordEmbeddings());
    if (!different.isEmpty()) {
      throw new UserException(
          "the run's model is not that of %s: set %s"
              .formatted(model.name(), String.join(", ", different)));
    }
  }

  private static void compare(List<String> different, String key, Object run, Object theirs) {
    if (!Objects.equals(run, theirs)) {
      different.add("model.%s to %s (it is %s)".formatted(key, theirs, run));
    }
  }

  private static void requireSameVocabulary(StoredModel model, RunConfig run) {
    Optional<Path> theirs = model.tokenizer();
    if (theirs.isEmpty()) {
      return;
    }
    Storage storage = new Storage(new Configuration());
    Path ours = storage.path(run.tokenizer().path());
    try {
      if (!TokenizerFiles.sameVocabulary(
          ours.toString(),
          storage.read(ours),
          theirs.get().toString(),
          storage.read(theirs.get()))) {
        throw new UserException(
            "the vocabulary differs: tokenizer.path %s gives other ids than %s; set it to the latter"
                .formatted(run.tokenizer().path(), theirs.get()));
      }
    } catch (IOException e) {
      throw Storage.failed("read the tokenizer", ours, e);
    }
  }
}
