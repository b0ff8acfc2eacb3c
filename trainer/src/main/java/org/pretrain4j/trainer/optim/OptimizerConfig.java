package org.pretrain4j.trainer.optim;

import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/** AdamW with decoupled weight decay, and the clipping of its gradients. */
public record OptimizerConfig(
    @Key("Peak learning rate") double learningRate,
    @Key("Decay of the first moment") @Default("0.9") double beta1,
    @Key("Decay of the second moment") @Default("0.95") double beta2,
    @Key("Added to the root of the second moment") @Default("1e-8") double epsilon,
    @Key("Decoupled weight decay, multiplied by the learning rate") @Default("0.1")
        double weightDecay,
    @Key(
            "Regular expressions; a parameter whose name matches one from its beginning has no"
                + " weight decay, and one that matches no parameter is an error")
        @Default("[\".*embed_tokens.*\"]")
        List<String> weightDecayExclude,
    @Key("Global L2 norm above which gradients are scaled down") @Default("1.0")
        double gradientClipNorm) {

  public OptimizerConfig {
    weightDecayExclude = List.copyOf(weightDecayExclude);
    Checks checks = new Checks();
    checks.positive("learning_rate", learningRate);
    checks.within("beta1", beta1, 0, 1);
    checks.within("beta2", beta2, 0, 1);
    checks.positive("epsilon", epsilon);
    checks.notNegative("weight_decay", weightDecay);
    for (int i = 0; i < weightDecayExclude.size(); i++) {
      String pattern = weightDecayExclude.get(i);
      checks.require(
          isPattern(pattern),
          "weight_decay_exclude[" + i + "]",
          pattern,
          "a regular expression such as .*embed_tokens.*");
    }
    checks.positive("gradient_clip_norm", gradientClipNorm);
    checks.throwIfAny();
  }

  private static boolean isPattern(String text) {
    try {
      Pattern.compile(text);
      return !text.isBlank();
    } catch (PatternSyntaxException e) {
      return false;
    }
  }
}
