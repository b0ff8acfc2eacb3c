package org.pretrain4j.launch;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.pretrain4j.trainer.evaluation.EvaluationResult;

/** An evaluation as people read it. */
final class EvaluationTable {
  private EvaluationTable() {}

  static List<String> lines(EvaluationResult result) {
    List<String> lines = new ArrayList<>();
    if (!result.datasets().isEmpty()) {
      lines.add(
          format(
              "%-16s %12s %14s %9s %12s %14s",
              "dataset", "documents", "tokens", "loss", "perplexity", "bits per byte"));
      result
          .datasets()
          .forEach(
              (name, score) ->
                  lines.add(
                      format(
                          "%-16s %,12d %,14d %9.4f %12.3f %14.4f",
                          name,
                          score.documents(),
                          score.tokens(),
                          score.loss(),
                          score.perplexity(),
                          score.bitsPerByte())));
    }
    if (!result.tasks().isEmpty()) {
      lines.add(
          format(
              "%-16s %12s %14s %14s %14s",
              "task", "questions", "accuracy", "by characters", "by tokens"));
      result
          .tasks()
          .forEach(
              (name, score) ->
                  lines.add(
                      format(
                          "%-16s %,12d %13.2f%% %13.2f%% %13.2f%%",
                          name,
                          score.questions(),
                          100 * score.accuracy(),
                          100 * score.accuracyByCharacters(),
                          100 * score.accuracyByTokens())));
    }
    return lines;
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
