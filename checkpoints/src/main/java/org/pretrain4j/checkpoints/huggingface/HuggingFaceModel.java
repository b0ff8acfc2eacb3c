package org.pretrain4j.checkpoints.huggingface;

import java.io.FileNotFoundException;
import java.io.IOException;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.SafetensorsFolder;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

/** A model in the Hugging Face format, open for reading and checked against its config.json. */
public final class HuggingFaceModel implements AutoCloseable {
  private final ModelArchitecture architecture;
  private final TensorSource tensors;

  private HuggingFaceModel(ModelArchitecture architecture, TensorSource tensors) {
    this.architecture = architecture;
    this.tensors = tensors;
  }

  /**
   * Opens a model.
   *
   * @throws UserException in one line, if it is not complete, not consistent or of another kind
   */
  public static HuggingFaceModel open(DurableFileSystem files, Path folder) {
    Path config = new Path(folder, "config.json");
    ModelArchitecture architecture;
    try {
      architecture = HuggingFaceConfig.read(config.toString(), files.read(config));
    } catch (FileNotFoundException e) {
      throw new UserException(
          "%s is missing; give the folder of a model in the Hugging Face format".formatted(config),
          e);
    } catch (IOException e) {
      throw new UserException("%s can't be read: %s".formatted(config, e.getMessage()), e);
    }
    SafetensorsFolder source = SafetensorsFolder.open(files, folder);
    try {
      return new HuggingFaceModel(architecture, ModelTensors.of(source, architecture));
    } catch (RuntimeException e) {
      source.close();
      throw e;
    }
  }

  /** The sizes of the model. */
  public ModelArchitecture architecture() {
    return architecture;
  }

  /** Its tensors in the order of the model, without a stored copy of a tied head. */
  public TensorSource tensors() {
    return tensors;
  }

  @Override
  public void close() {
    tensors.close();
  }
}
