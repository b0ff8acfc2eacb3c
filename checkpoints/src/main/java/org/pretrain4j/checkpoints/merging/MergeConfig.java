package org.pretrain4j.checkpoints.merging;

import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/** Which models are merged, and how. */
public record MergeConfig(
    @Key("linear: weighted sum of any number of models; slerp: along the arc between two")
        @Default("linear")
        Method method,
    @Key("Whether the weights of a linear merge are divided by their sum") @Default("true")
        boolean normalize,
    @Key("Type of the result if it is a folder in the Hugging Face format") @Default("bf16")
        Output output,
    @Key("What is merged; the first one decides about format, tokenizer and state of the result")
        List<Model> models) {

  /** How values are combined. */
  public enum Method {
    LINEAR,
    SLERP
  }

  /** The type of the result. */
  public enum Output {
    BF16(DType.BF16),
    F16(DType.F16),
    F32(DType.F32);

    private final DType dtype;

    Output(DType dtype) {
      this.dtype = dtype;
    }

    DType dtype() {
      return dtype;
    }
  }

  /** One of the models. */
  public record Model(
      @Key(
              "Folder in the Hugging Face format, of a checkpoint, or of checkpoints (the newest good)")
          String path,
      @Key("Its weight; for slerp that of the second model is how far along the arc, 0 to 1")
          double weight,
      @Key("Other weights for some tensors; the first filter that fits counts") @Default("[]")
          List<Filter> filters) {
    public Model {
      new Checks()
          .notBlank("path", path)
          .require(Double.isFinite(weight), "weight", weight, "a finite number")
          .throwIfAny();
    }
  }

  /** Another weight for the tensors of a pattern. */
  public record Filter(
      @Key("Regular expression that the whole name of a tensor must match") String tensors,
      @Key("Weight for these tensors") double weight) {
    public Filter {
      new Checks()
          .require(isPattern(tensors), "tensors", tensors, "a regular expression")
          .require(Double.isFinite(weight), "weight", weight, "a finite number")
          .throwIfAny();
    }

    private static boolean isPattern(String text) {
      try {
        Pattern.compile(text);
        return true;
      } catch (PatternSyntaxException e) {
        return false;
      }
    }
  }

  public MergeConfig {
    new Checks()
        .require(!models.isEmpty(), "models", models, "at least one model")
        .together(
            List.of("method", "models"),
            () -> method != Method.SLERP || models.size() == 2,
            models.size(),
            "exactly two models for slerp")
        .throwIfAny();
  }
}
