package org.pretrain4j.trainer.evaluation;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;
import org.pretrain4j.data.DatasetConfig;

/** What a model is evaluated on, and how often within a run. */
public record EvaluationConfig(
    @Key("Steps between two evaluations; the last step always makes one") long everySteps,
    @Key("Most tokens that are seen together")
        @Default(value = "null", meaning = "`training.sequence_length`")
        Optional<Integer> sequenceLength,
    @Key(
            "Tokens from the beginning of a window of a long document to that of the next; less gives"
                + " each token more context and takes longer")
        @Default(value = "null", meaning = "`sequence_length`: windows side by side")
        Optional<Integer> stride,
    @Key("Only so many documents of each dataset; 0 means all") @Default("0") long maxDocuments,
    @Key("Only so many questions of each task; 0 means all") @Default("0") long maxQuestions,
    @Key("Held-out datasets by name, given as those of `data`; text is tokenized as it is read")
        @Default("{}")
        Map<String, DatasetConfig> datasets,
    @Key("Multiple-choice tasks by name") @Default("{}") Map<String, TaskConfig> tasks) {

  public EvaluationConfig {
    datasets = Collections.unmodifiableMap(new LinkedHashMap<>(datasets));
    tasks = Collections.unmodifiableMap(new LinkedHashMap<>(tasks));
    Checks checks = new Checks();
    checks.positive("every_steps", everySteps);
    sequenceLength.ifPresent(length -> checks.positive("sequence_length", length));
    stride.ifPresent(tokens -> checks.positive("stride", tokens));
    checks.notNegative("max_documents", maxDocuments).notNegative("max_questions", maxQuestions);
    checks.require(
        !datasets.isEmpty() || !tasks.isEmpty(),
        List.of("", "datasets", "tasks"),
        "needs something to evaluate on: add datasets or tasks");
    checks.throwIfAny();
  }
}
