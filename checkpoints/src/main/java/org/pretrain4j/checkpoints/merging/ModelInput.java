package org.pretrain4j.checkpoints.merging;

import java.io.IOException;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.huggingface.HuggingFaceModel;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.nanotron.NanotronModel;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.CheckpointTensors;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

/**
 * A model that a user named by its folder, in whichever of the formats it is.
 *
 * @param tensors its weights
 * @param architecture its sizes, if the folder tells them
 * @param checkpoint the checkpoint, if it is one
 * @param tokenizer its tokenizer.json, if there is one
 */
public record ModelInput(
    TensorSource tensors,
    Optional<ModelArchitecture> architecture,
    Optional<Checkpoint> checkpoint,
    Optional<Path> tokenizer)
    implements AutoCloseable {

  /**
   * Opens a folder in the Hugging Face format or of nanotron, a checkpoint ({@code
   * .../step-0000000120}), or the newest good one of a folder of checkpoints or of a run.
   *
   * @param checkpointsAt the checkpoints of a run by its folder; other folders as they are
   * @param warn told in one line about each damaged checkpoint that is skipped
   * @throws UserException if it is none of these, or damaged
   */
  public static ModelInput open(
      String folder, UnaryOperator<String> checkpointsAt, Consumer<String> warn) {
    try {
      Path path = new Path(folder);
      DurableFileSystem files = DurableFileSystem.of(path.getFileSystem(new Configuration()));
      if (files.exists(new Path(path, "config.json"))) {
        return openHuggingFace(files, path);
      }
      if (files.exists(new Path(path, "latest.txt"))
          || files.exists(new Path(path, "model_config.json"))) {
        NanotronModel model = NanotronModel.open(files, path);
        return new ModelInput(
            model.tensors(), Optional.of(model.architecture()), Optional.empty(), Optional.empty());
      }
      if (!files.exists(path)) {
        throw new UserException(folder + " does not exist; check the path");
      }
      Path checkpoints = new Path(checkpointsAt.apply(folder));
      return ofCheckpoint(
          openCheckpoint(
              DurableFileSystem.of(checkpoints.getFileSystem(new Configuration()))
                  .qualify(checkpoints),
              warn));
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException("%s can't be opened: %s".formatted(folder, e.getMessage()), e);
    }
  }

  private static ModelInput openHuggingFace(DurableFileSystem files, Path path) throws IOException {
    Path tokenizer = new Path(path, "tokenizer.json");
    Optional<Path> found = files.exists(tokenizer) ? Optional.of(tokenizer) : Optional.empty();
    HuggingFaceModel model = HuggingFaceModel.open(files, path);
    return new ModelInput(
        model.tensors(), Optional.of(model.architecture()), Optional.empty(), found);
  }

  private static Checkpoint openCheckpoint(Path path, Consumer<String> warn) {
    if (path.getName().matches("step-\\d{10,}")) {
      return CheckpointStore.open(path.getParent().toString())
          .open(Long.parseLong(path.getName().substring("step-".length())));
    }
    return CheckpointStore.open(path.toString())
        .newestGood(warn)
        .orElseThrow(
            () ->
                new UserException(
                    "%s is no model: it has neither config.json nor checkpoints; train first, or check the path"
                        .formatted(path)));
  }

  /** The same, with what the run of a checkpoint knows; the tensors alone don't tell. */
  public ModelInput with(ModelArchitecture known, Path itsTokenizer) {
    return new ModelInput(tensors, Optional.of(known), checkpoint, Optional.of(itsTokenizer));
  }

  private static ModelInput ofCheckpoint(Checkpoint checkpoint) {
    return new ModelInput(
        new CheckpointTensors(checkpoint),
        Optional.empty(),
        Optional.of(checkpoint),
        Optional.empty());
  }

  @Override
  public void close() {
    tensors.close();
  }
}
