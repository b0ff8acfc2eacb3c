package org.pretrain4j.launch;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.optim.ScheduleConfig;
import org.pretrain4j.trainer.run.RowDeal;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.run.StageConfig;
import org.pretrain4j.trainer.run.TrainingConfig;

/** What a configuration amounts to, in a few aligned lines. */
final class ConfigurationSummary {
  /** Datasets of a stage that are named; the rest is counted. */
  private static final int NAMED_DATASETS = 4;

  private ConfigurationSummary() {}

  /**
   * @param ranks that would share the work
   */
  static List<String> of(RunConfig config, long ranks) {
    List<String> lines = new ArrayList<>();
    lines.add(line("run", config.name() + ", in " + config.runFolder().orElseThrow()));
    lines.add(line("model", model(config.model())));
    lines.add(line("step", step(config)));
    lines.add(line("ranks", ranks(new RowDeal(config.rowsPerStep(), ranks))));
    lines.add(line("schedule", schedule(config)));
    lines.add(
        line(
            "length",
            HumanUnits.exact(config.totalSteps())
                + " steps, "
                + HumanUnits.count(config.totalTokens())
                + " tokens"));
    for (int i = 0; i < config.stages().size(); i++) {
      lines.add(line("stage " + (i + 1), stage(config, i)));
    }
    lines.add(
        line(
            "checkpoints",
            "every %s steps, the last %d kept, in %s"
                .formatted(
                    HumanUnits.exact(config.checkpoints().everySteps()),
                    config.checkpoints().keepLast(),
                    config.checkpoints().folder().orElseThrow())));
    return lines;
  }

  private static String line(String what, String text) {
    return String.format(Locale.ROOT, "%-12s %s", what, text);
  }

  private static String model(ModelConfig model) {
    return "%s parameters (%s): %d layers, %d wide, feed-forward %d, %d heads over %d, vocabulary %s"
        .formatted(
            HumanUnits.count(model.parameterCount()),
            HumanUnits.exact(model.parameterCount()),
            model.numHiddenLayers(),
            model.hiddenSize(),
            model.intermediateSize(),
            model.numAttentionHeads(),
            model.numKeyValueHeads(),
            HumanUnits.exact(model.vocabSize()));
  }

  private static String step(RunConfig config) {
    TrainingConfig training = config.training();
    return "%s tokens: %s rows of %s, %d at a time on a rank, in %s"
        .formatted(
            HumanUnits.exact(training.globalBatchTokens()),
            HumanUnits.exact(config.rowsPerStep()),
            HumanUnits.exact(training.sequenceLength()),
            training.microBatchSize(),
            training.precision().name().toLowerCase(Locale.ROOT));
  }

  /** The number of ranks, and what an uneven deal of the rows costs. */
  static String ranks(RowDeal deal) {
    if (deal.idleShare() == 0) {
      return "%s, each with %s of a step's %s rows"
          .formatted(
              HumanUnits.exact(deal.ranks()),
              HumanUnits.exact(deal.mostRows()),
              HumanUnits.exact(deal.rows()));
    }
    String below = HumanUnits.exact(deal.evenBelow());
    String even =
        deal.evenAbove().isPresent()
            ? below + " or " + HumanUnits.exact(deal.evenAbove().getAsLong())
            : below;
    return String.format(
        Locale.ROOT,
        "%s, idle for %.0f%% of the time, as they share %s rows; %s would have none",
        HumanUnits.exact(deal.ranks()),
        100 * deal.idleShare(),
        HumanUnits.exact(deal.rows()),
        even);
  }

  private static String schedule(RunConfig config) {
    ScheduleConfig schedule = config.schedule();
    return "%s to %s over %s steps; from step %s %s decay over %s steps to %s"
        .formatted(
            schedule.type().name().toLowerCase(Locale.ROOT),
            number(config.optimizer().learningRate()),
            HumanUnits.exact(schedule.warmupSteps()),
            HumanUnits.exact(schedule.decayStartStep().orElseThrow()),
            shape(schedule.decayShape().orElseThrow()),
            HumanUnits.exact(schedule.decaySteps().orElseThrow()),
            number(schedule.minLearningRate()));
  }

  private static String shape(ScheduleConfig.DecayShape shape) {
    return switch (shape) {
      case LINEAR -> "linear";
      case COSINE -> "cosine";
      case ONE_MINUS_SQRT -> "1-sqrt";
    };
  }

  private static String stage(RunConfig config, int index) {
    StageConfig stage = config.stages().get(index);
    long steps = config.stageSteps(index);
    double tokens = (double) steps * config.training().globalBatchTokens();
    return "%s: %s steps, %s tokens: %s"
        .formatted(
            stage.name(),
            HumanUnits.exact(steps),
            HumanUnits.count(tokens),
            mixture(stage.shares()));
  }

  private static String mixture(Map<String, Double> shares) {
    String named =
        shares.entrySet().stream()
            .sorted(Map.Entry.<String, Double>comparingByValue().reversed())
            .limit(NAMED_DATASETS)
            .map(
                entry ->
                    String.format(Locale.ROOT, "%s %.1f%%", entry.getKey(), 100 * entry.getValue()))
            .collect(Collectors.joining(", "));
    int others = shares.size() - NAMED_DATASETS;
    return others > 0 ? named + ", and " + others + " more" : named;
  }

  private static String number(double value) {
    return value == 0
        ? "0"
        : new BigDecimal(Double.toString(value)).stripTrailingZeros().toString();
  }
}
