package org.pretrain4j.launch;

import ai.djl.ndarray.NDManager;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.DatasetConfig;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.TextInputs;
import org.pretrain4j.data.tokens.Tokenizer;
import org.pretrain4j.trainer.evaluation.Evaluation;
import org.pretrain4j.trainer.evaluation.EvaluationConfig;
import org.pretrain4j.trainer.evaluation.EvaluationResult;
import org.pretrain4j.trainer.evaluation.RankExchange;
import org.pretrain4j.trainer.evaluation.TaskConfig;
import org.pretrain4j.trainer.exchange.StoredModel;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.model.InferenceModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Evaluates a model. */
@Command(
    name = "evaluate",
    header = "Measures loss, perplexity and bits per byte on held-out data, and answers questions.",
    description = {
      "Each document is seen alone, in windows of --sequence-length tokens; all of its tokens but the"
          + " first are scored, each once, the one that ends it included. A choice of a question is"
          + " scored as its continuation. Computes in fp32. Without --data and --task, takes the"
          + " section evaluation of the run."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j evaluate runs/quickstart --data docs='docs/*.md' --data java='*/src/**/*.java'",
      "  pretrain4j evaluate exported/quickstart --data web=shards/held-out --stride 128",
      "  pretrain4j evaluate runs/quickstart --task arc=ARC-Easy.jsonl"
          + " --task hellaswag=hellaswag:hellaswag_val.jsonl --json scores.json"
    })
final class EvaluateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Mixin private ModelSource source;

  @Option(
      names = "--data",
      paramLabel = "NAME=WHAT",
      description = {
        "A folder of shards, or files or a pattern of text, JSONL, Parquet or Arrow; may be repeated."
      })
  private Map<String, String> data = new LinkedHashMap<>();

  @Option(
      names = "--text-column",
      paramLabel = "NAME",
      defaultValue = "text",
      description = "The field or column that holds the text (default: ${DEFAULT-VALUE}).")
  private String textColumn;

  @Option(
      names = "--task",
      paramLabel = "NAME=[LAYOUT:]FILE",
      description = {
        "Multiple-choice questions, one in each line of JSONL, with the fields of ARC (arc, the"
            + " default) or HellaSwag (hellaswag); may be repeated. Other fields: in a configuration,"
            + " see evaluation.tasks."
      })
  private Map<String, String> tasks = new LinkedHashMap<>();

  @Option(
      names = "--sequence-length",
      paramLabel = "N",
      description = "Most tokens that are seen together (default: those of the run's rows).")
  private Integer sequenceLength;

  @Option(
      names = "--stride",
      paramLabel = "N",
      description = {
        "Tokens from one window of a long document to the next; less gives each token more context"
            + " (default: side by side)."
      })
  private Integer stride;

  @Option(
      names = "--max-documents",
      paramLabel = "N",
      defaultValue = "0",
      description = "Of each dataset; 0: all (default: ${DEFAULT-VALUE}).")
  private long maxDocuments;

  @Option(
      names = "--max-questions",
      paramLabel = "N",
      defaultValue = "0",
      description = "Of each task; 0: all (default: ${DEFAULT-VALUE}).")
  private long maxQuestions;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the result to this file.")
  private Path json;

  @Override
  public Integer call() throws IOException {
    Storage storage = new Storage(new Configuration());
    try (StoredModel stored = source.open();
        Tokenizer tokenizer = stored.openTokenizer();
        NDManager manager = Managers.host()) {
      ModelSource.requireVocabulary(tokenizer, stored);
      long seed = stored.run().map(run -> run.seed()).orElse(0L);
      Evaluation evaluation =
          new Evaluation(
              configuration(storage, stored), storage, tokenizer, stored.sequenceLength(), seed);
      if (evaluation.sequenceLength() > stored.config().maxPositionEmbeddings()) {
        throw new UserException(
            "--sequence-length is %d, the model is made for at most %d tokens"
                .formatted(evaluation.sequenceLength(), stored.config().maxPositionEmbeddings()));
      }
      try (InferenceModel model = stored.load(manager, evaluation.sequenceLength())) {
        EvaluationResult result = evaluation.run(model::targetLogProbabilities, RankExchange.ALONE);
        EvaluationTable.lines(result).forEach(spec.commandLine().getOut()::println);
        if (json != null) {
          write(result);
        }
      }
    }
    return ExitCode.OK.number();
  }

  private EvaluationConfig configuration(Storage storage, StoredModel stored) throws IOException {
    if (data.isEmpty() && tasks.isEmpty()) {
      EvaluationConfig known =
          stored
              .run()
              .flatMap(run -> run.evaluation())
              .orElseThrow(
                  () ->
                      new UserException(
                          "nothing to evaluate on: give --data NAME=WHAT or --task NAME=FILE"));
      return configuration(known.datasets(), known.tasks());
    }
    Map<String, DatasetConfig> datasets = new LinkedHashMap<>();
    for (Map.Entry<String, String> entry : data.entrySet()) {
      datasets.put(entry.getKey(), dataset(storage, entry.getValue()));
    }
    Map<String, TaskConfig> questions = new LinkedHashMap<>();
    tasks.forEach((name, text) -> questions.put(name, task(text)));
    return configuration(datasets, questions);
  }

  private EvaluationConfig configuration(
      Map<String, DatasetConfig> datasets, Map<String, TaskConfig> questions) {
    return new EvaluationConfig(
        1,
        Optional.ofNullable(sequenceLength),
        Optional.ofNullable(stride),
        maxDocuments,
        maxQuestions,
        datasets,
        questions);
  }

  private DatasetConfig dataset(Storage storage, String what) throws IOException {
    boolean shards = storage.exists(new org.apache.hadoop.fs.Path(what, Manifest.FILE));
    return new DatasetConfig(
        shards ? List.of() : List.of(what),
        shards ? DatasetConfig.Format.AUTO : format(storage, what),
        textColumn,
        shards ? Optional.of(what) : Optional.empty(),
        Optional.empty(),
        Optional.empty());
  }

  private static DatasetConfig.Format format(Storage storage, String what) throws IOException {
    return switch (TextInputs.format(storage, List.of(what))) {
      case TEXT -> DatasetConfig.Format.TEXT;
      case JSONL -> DatasetConfig.Format.JSONL;
      case PARQUET -> DatasetConfig.Format.PARQUET;
      case ARROW -> DatasetConfig.Format.ARROW;
      case DATATROVE, MEGATRON ->
          throw new UserException(what + " holds tokens; make shards of it with tokenize first");
    };
  }

  private static TaskConfig task(String text) {
    TaskConfig.Layout layout = TaskConfig.Layout.ARC;
    String file = text;
    for (TaskConfig.Layout known : TaskConfig.Layout.values()) {
      String prefix = known.name().toLowerCase(Locale.ROOT) + ":";
      if (text.startsWith(prefix)) {
        layout = known;
        file = text.substring(prefix.length());
      }
    }
    return new TaskConfig(
        new ArrayList<>(List.of(file)),
        layout,
        Optional.empty(),
        List.of(),
        Optional.empty(),
        Optional.empty(),
        0,
        " ");
  }

  private void write(EvaluationResult result) throws IOException {
    JsonMapper mapper = JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();
    Files.writeString(json, mapper.writeValueAsString(result) + System.lineSeparator());
  }
}
