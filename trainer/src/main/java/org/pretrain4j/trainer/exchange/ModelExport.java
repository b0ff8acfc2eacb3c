package org.pretrain4j.trainer.exchange;

import java.io.IOException;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.gguf.GgufExport;
import org.pretrain4j.checkpoints.gguf.GgufTensors;
import org.pretrain4j.checkpoints.gguf.GgufType;
import org.pretrain4j.checkpoints.huggingface.HuggingFaceExport;
import org.pretrain4j.checkpoints.huggingface.HuggingFaceModel;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.RoundedTensors;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

/**
 * Writes a model for other programs, reads it back and compares logits. The result appears once it
 * has passed; otherwise nothing does.
 */
public final class ModelExport {
  private ModelExport() {}

  /**
   * As a folder in the Hugging Face format.
   *
   * @param dtype F32, BF16 or F16
   * @param maxFileBytes largest size of a file of weights
   * @throws UserException if it can't be written, or if what was read back is not the model
   */
  public static ExportReport huggingFace(
      StoredModel model, DType dtype, long maxFileBytes, String folder) {
    Path target = new Path(folder);
    DurableFileSystem files = files(target);
    Verification verification = new Verification(model, folder, dtype.name(), tolerance(dtype));
    TensorSource rounded = new RoundedTensors(model.tensors(), tensor -> dtype);
    new HuggingFaceExport(files, dtype, maxFileBytes)
        .export(
            model.tensors(),
            model.architecture(),
            model.tokenizer(),
            target,
            staged -> {
              try (HuggingFaceModel written = HuggingFaceModel.open(files, staged)) {
                verification.run(Optional.of(rounded), written.tensors());
              }
            });
    return verification.report;
  }

  /**
   * As one GGUF file.
   *
   * @param name what other programs show
   * @throws UserException if GGUF has no such model, if it can't be written, or if what was read
   *     back is not the model
   */
  public static ExportReport gguf(StoredModel model, GgufType type, String name, String file) {
    Path target = new Path(file);
    DurableFileSystem files = files(target);
    ModelArchitecture architecture = model.architecture();
    Verification verification = new Verification(model, file, type.name(), tolerance(type));
    new GgufExport(files, type)
        .export(
            model.tensors(),
            architecture,
            Optional.of(model.requireTokenizer()),
            name,
            target,
            staged -> {
              try (GgufTensors written = GgufTensors.open(files, staged, architecture)) {
                verification.run(rounded(model.tensors(), type), written);
              }
            });
    return verification.report;
  }

  /** Vectors stay fp32. Blocks of integers are no plain rounding. */
  private static Optional<TensorSource> rounded(TensorSource tensors, GgufType type) {
    return switch (type) {
      case F32 -> Optional.of(tensors);
      case BF16 -> Optional.of(new RoundedTensors(tensors, tensor -> matrix(tensor, DType.BF16)));
      case F16 -> Optional.of(new RoundedTensors(tensors, tensor -> matrix(tensor, DType.F16)));
      case Q8_0 -> Optional.empty();
    };
  }

  private static DType matrix(TensorSpec tensor, DType type) {
    return tensor.shape().size() > 1 ? type : DType.F32;
  }

  private static double tolerance(DType dtype) {
    return switch (dtype) {
      case F32 -> 0;
      case F16 -> 0.01;
      default -> 0.05;
    };
  }

  private static double tolerance(GgufType type) {
    return switch (type) {
      case F32 -> 0;
      case F16 -> 0.01;
      case BF16 -> 0.05;
      case Q8_0 -> 0.1;
    };
  }

  private static DurableFileSystem files(Path target) {
    try {
      return DurableFileSystem.of(target.getFileSystem(new Configuration()));
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException("%s can't be written: %s".formatted(target, e.getMessage()), e);
    }
  }

  /** The check of one export, and what it came to. */
  private static final class Verification {
    private final StoredModel model;
    private final String target;
    private final String type;
    private final double tolerance;
    private ExportReport report;

    Verification(StoredModel model, String target, String type, double tolerance) {
      this.model = model;
      this.target = target;
      this.type = type;
      this.tolerance = tolerance;
    }

    void run(Optional<TensorSource> rounded, TensorSource written) {
      LogitsCheck check = new LogitsCheck(model.config());
      double difference = check.compare(target, model.tensors(), rounded, written, tolerance);
      report =
          new ExportReport(
              model.name(),
              model.config().parameterCount(),
              type,
              check.probeTokens(),
              rounded.isPresent(),
              difference,
              tolerance);
    }
  }
}
