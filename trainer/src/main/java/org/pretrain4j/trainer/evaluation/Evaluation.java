package org.pretrain4j.trainer.evaluation;

import java.util.LinkedHashMap;
import java.util.Map;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.DatasetConfig;
import org.pretrain4j.data.HeldOutDocuments;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.Tokenizer;

/** Evaluates models on datasets and tasks, again and again if wanted. */
public final class Evaluation {
  private final EvaluationConfig config;
  private final Storage storage;
  private final Tokenizer tokenizer;
  private final int sequenceLength;
  private final long seed;

  /**
   * An evaluation.
   *
   * @param tokenizer of the models; stays open
   * @param sequenceLength taken if the configuration names none
   * @param seed of generated documents
   * @throws UserException if the stride is longer than a window
   */
  public Evaluation(
      EvaluationConfig config,
      Storage storage,
      Tokenizer tokenizer,
      int sequenceLength,
      long seed) {
    this.config = config;
    this.storage = storage;
    this.tokenizer = tokenizer;
    this.sequenceLength = config.sequenceLength().orElse(sequenceLength);
    this.seed = seed;
    if (stride() > this.sequenceLength) {
      throw new UserException(
          "evaluation: the stride %d is longer than the window of %d tokens, which would leave tokens out"
              .formatted(stride(), this.sequenceLength));
    }
  }

  private int stride() {
    return config.stride().orElse(sequenceLength);
  }

  /** Most tokens that are seen together: the longest row that the model will be given. */
  public int sequenceLength() {
    return sequenceLength;
  }

  /**
   * Evaluates. All ranks call it alike and get the same.
   *
   * @param scorer the model
   * @throws UserException if data is missing, malformed or empty
   */
  public EvaluationResult run(BatchScorer scorer, RankExchange exchange) {
    long start = System.nanoTime();
    SegmentScores scores = new SegmentScores(scorer, exchange, sequenceLength);
    Map<String, DatasetScore> datasets = new LinkedHashMap<>();
    config.datasets().forEach((name, dataset) -> datasets.put(name, score(name, dataset, scores)));
    Map<String, TaskScore> tasks = new LinkedHashMap<>();
    MultipleChoice choice = new MultipleChoice(tokenizer, sequenceLength);
    config
        .tasks()
        .forEach(
            (name, task) ->
                tasks.put(
                    name,
                    choice.score(
                        new QuestionReader(task).read(storage, config.maxQuestions()), scores)));
    return new EvaluationResult(datasets, tasks, (System.nanoTime() - start) * 1e-9);
  }

  private DatasetScore score(String name, DatasetConfig dataset, SegmentScores scores) {
    try (HeldOutDocuments documents =
        HeldOutDocuments.open(storage, tokenizer, name, dataset, seed)) {
      DocumentWindows windows =
          new DocumentWindows(documents, sequenceLength, stride(), config.maxDocuments());
      double[] nats = {0};
      scores.score(windows, logLikelihood -> nats[0] -= logLikelihood);
      if (windows.targets() == 0) {
        throw new UserException("dataset '" + name + "' has no text to evaluate on");
      }
      return DatasetScore.of(windows.documents(), windows.targets(), windows.bytes(), nats[0]);
    }
  }
}
