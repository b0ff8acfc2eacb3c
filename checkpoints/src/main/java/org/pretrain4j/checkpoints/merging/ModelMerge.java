package org.pretrain4j.checkpoints.merging;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FirstCheckpoint;
import org.pretrain4j.checkpoints.huggingface.HuggingFaceExport;
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
   * @param warn told in one line about each damaged checkpoint that is skipped
   * @throws UserException if the models can't be read or don't fit together, or if the result can't
   *     be written
   */
  public static void run(MergeConfig config, String folder, Consumer<String> warn) {
    List<ModelInput> inputs = new ArrayList<>();
    try {
      for (MergeConfig.Model model : config.models()) {
        inputs.add(ModelInput.open(model.path(), warn));
      }
      merge(config, inputs, new Path(folder));
    } catch (IOException e) {
      throw new UserException("%s can't be written: %s".formatted(folder, e.getMessage()), e);
    } finally {
      inputs.forEach(ModelInput::close);
    }
  }

  private static void merge(MergeConfig config, List<ModelInput> inputs, Path folder)
      throws IOException {
    ModelInput first = inputs.getFirst();
    requireSameTokenizer(inputs);
    DType output = first.checkpoint().isPresent() ? DType.F32 : config.output().dtype();
    MergedTensors merged =
        new MergedTensors(config, inputs.stream().map(ModelInput::tensors).toList(), output);
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

  private static void requireSameTokenizer(List<ModelInput> inputs) throws IOException {
    byte[] known = null;
    for (ModelInput input : inputs) {
      if (input.tokenizer().isPresent()) {
        Path path = input.tokenizer().get();
        byte[] content = DurableFileSystem.of(path.getFileSystem(new Configuration())).read(path);
        if (known != null && !TokenizerFiles.sameVocabulary(known, content)) {
          throw new UserException(
              "the vocabulary differs: %s is not the tokenizer of the other models"
                  .formatted(path));
        }
        known = content;
      }
    }
  }
}
