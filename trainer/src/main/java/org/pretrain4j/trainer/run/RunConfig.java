package org.pretrain4j.trainer.run;

import java.math.BigInteger;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.checkpoints.CheckpointConfig;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.ConfigurationException;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;
import org.pretrain4j.configuration.Nearest;
import org.pretrain4j.data.DataConfig;
import org.pretrain4j.data.TokenizerConfig;
import org.pretrain4j.trainer.evaluation.EvaluationConfig;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.optim.OptimizerConfig;
import org.pretrain4j.trainer.optim.ScheduleConfig;
import org.pretrain4j.trainer.parallel.faults.FaultInjection;

/**
 * A whole run. What a file leaves out because it follows from other keys (the folders, the phases
 * of the schedule) is filled in here, so the optional values of {@link #runFolder}, {@link
 * ScheduleConfig} and the folders of {@link DataConfig} and {@link CheckpointConfig} are always
 * present in an instance of this record.
 */
public record RunConfig(
    @Key("Name of the run") String name,
    @Key("Folder of the run's metrics, configuration and checkpoints")
        @Default(value = "null", meaning = "`runs/<name>`")
        Optional<String> runFolder,
    @Key("Seed of all that is random in the run") @Default("6") long seed,
    @Key("The model") ModelConfig model,
    @Key("The tokenizer") TokenizerConfig tokenizer,
    @Key("The datasets") DataConfig data,
    @Key("The stages in the order in which they are trained") List<StageConfig> stages,
    @Key("The size of a step") TrainingConfig training,
    @Key("The optimizer") OptimizerConfig optimizer,
    @Key("The learning rate by step") ScheduleConfig schedule,
    @Key("How ranks share the work") @Default("{}") ParallelismConfig parallelism,
    @Key("Durable state") CheckpointConfig checkpoints,
    @Key("Faults that the run makes on purpose, for drills") @Default("[]")
        List<FaultInjection> faults,
    @Key("Held-out data that the model is evaluated on while it trains")
        Optional<EvaluationConfig> evaluation) {

  private static final BigInteger MAX_STEPS = BigInteger.valueOf(Long.MAX_VALUE >> 1);

  public RunConfig {
    stages = List.copyOf(stages);
    faults = List.copyOf(faults);
    Checks checks = new Checks();
    checks.folderName("name", name);
    runFolder.ifPresent(folder -> checks.notBlank("run_folder", folder));
    checks.present("model", model).present("tokenizer", tokenizer).present("data", data);
    checks.present("training", training).present("optimizer", optimizer);
    checks.present("schedule", schedule).present("parallelism", parallelism);
    checks.present("checkpoints", checkpoints);
    if (model != null && training != null) {
      checks.require(
          training.sequenceLength() <= model.maxPositionEmbeddings(),
          List.of("training.sequence_length", "model.max_position_embeddings"),
          "is "
              + training.sequenceLength()
              + ", expected at most model.max_position_embeddings "
              + model.maxPositionEmbeddings());
    }
    if (optimizer != null && schedule != null) {
      checks.require(
          schedule.minLearningRate() <= optimizer.learningRate(),
          List.of("schedule.min_learning_rate", "optimizer.learning_rate"),
          "is "
              + schedule.minLearningRate()
              + ", expected at most optimizer.learning_rate "
              + optimizer.learningRate());
    }
    if (model != null) {
      evaluation
          .flatMap(EvaluationConfig::sequenceLength)
          .ifPresent(
              length ->
                  checks.require(
                      length <= model.maxPositionEmbeddings(),
                      List.of("evaluation.sequence_length", "model.max_position_embeddings"),
                      "is "
                          + length
                          + ", expected at most model.max_position_embeddings "
                          + model.maxPositionEmbeddings()));
    }
    checkStages(checks, stages, data);
    if (training != null) {
      checkLength(checks, stages, training);
    }
    ScheduleConfig resolved = schedule;
    if (schedule != null && training != null && !stages.isEmpty()) {
      try {
        resolved = schedule.resolve(totalSteps(stages, training).min(MAX_STEPS).longValue());
      } catch (ConfigurationException e) {
        checks.addAll("schedule", e);
      }
    }
    checks.throwIfAny();
    String folder = runFolder.orElse("runs/" + name);
    runFolder = Optional.of(folder);
    schedule = resolved;
    data = data.withPreparedFolder(data.preparedFolder().orElse(folder + "/data"));
    checkpoints = checkpoints.withFolder(folder + "/checkpoints");
  }

  /** Rows of a step, over all ranks. */
  public long rowsPerStep() {
    return training.rowsPerStep();
  }

  /** Length of a stage in steps. */
  public long stageSteps(int stage) {
    return stages.get(stage).stepsOf(training.globalBatchTokens());
  }

  /** First step of a stage, counted from 0 at the start of the run. */
  public long stageFirstStep(int stage) {
    return totalSteps(stages.subList(0, stage), training).longValueExact();
  }

  /** Length of the run in steps. */
  public long totalSteps() {
    return totalSteps(stages, training).longValueExact();
  }

  /** Length of the run in tokens. */
  public long totalTokens() {
    return Math.multiplyExact(totalSteps(), training.globalBatchTokens());
  }

  private static void checkStages(Checks checks, List<StageConfig> stages, DataConfig data) {
    checks.require(!stages.isEmpty(), List.of("stages"), "needs at least one stage");
    Map<String, Integer> firstOf = new HashMap<>();
    for (int i = 0; i < stages.size(); i++) {
      StageConfig stage = stages.get(i);
      Integer first = firstOf.putIfAbsent(stage.name(), i);
      checks.require(
          first == null,
          "stages[" + i + "].name",
          stage.name(),
          "a name that no other stage has, but stages[" + first + "] has it");
      if (data != null) {
        for (String dataset : stage.mixture().keySet()) {
          checks.require(
              data.datasets().containsKey(dataset),
              List.of("stages[" + i + "].mixture." + dataset, "data.datasets"),
              "names no dataset of data.datasets"
                  + Nearest.hint(dataset, data.datasets().keySet()));
        }
      }
    }
  }

  /** Tokens are counted in longs everywhere, so the whole run must fit. */
  private static void checkLength(
      Checks checks, List<StageConfig> stages, TrainingConfig training) {
    BigInteger tokens =
        totalSteps(stages, training).multiply(BigInteger.valueOf(training.globalBatchTokens()));
    checks.require(
        training.rowsPerStep() <= Integer.MAX_VALUE,
        List.of("training.global_batch_tokens", "training.sequence_length"),
        "is " + training.rowsPerStep() + " rows a step, expected at most " + Integer.MAX_VALUE);
    checks.require(
        tokens.bitLength() < Long.SIZE,
        List.of("stages", "training.global_batch_tokens"),
        "are " + tokens + " tokens long, which is more than a run can count: shorten them");
  }

  private static BigInteger totalSteps(List<StageConfig> stages, TrainingConfig training) {
    return stages.stream()
        .map(stage -> BigInteger.valueOf(stage.stepsOf(training.globalBatchTokens())))
        .reduce(BigInteger.ZERO, BigInteger::add);
  }
}
