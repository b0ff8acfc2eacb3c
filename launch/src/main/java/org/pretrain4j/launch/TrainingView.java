package org.pretrain4j.launch;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.data.tokens.Progress;
import org.pretrain4j.trainer.evaluation.EvaluationResult;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.run.RunSummary;
import org.pretrain4j.trainer.run.SaveTimes;
import org.pretrain4j.trainer.run.StepMetrics;
import org.pretrain4j.trainer.run.TrainingListener;

/** Shows a training run to a person: messages in the log, steps as a table. */
final class TrainingView implements TrainingListener, AutoCloseable {
  private static final Logger LOG = LogManager.getLogger(TrainingView.class);
  private static final Duration TABLE_INTERVAL = Duration.ofSeconds(10);
  private static final String LOG_FILE = "train.log";

  private final LiveLine out;
  private final PreparationProgress preparation;
  private final TrainingProgress steps;

  TrainingView(RunConfig config, LiveLine out) {
    this.out = out;
    this.preparation = new PreparationProgress("tokenized", out);
    this.steps =
        new TrainingProgress(
            out, TABLE_INTERVAL, config.totalSteps(), config.training().globalBatchTokens());
  }

  @Override
  public void folder(Path folder) {
    LogFile.attach(folder.resolve(LOG_FILE));
    LOG.info("run folder {}", folder);
  }

  @Override
  public void preparing(Progress progress) {
    preparation.progress(progress);
  }

  @Override
  public void started(RunSummary summary) {
    LOG.info(
        String.format(
            Locale.ROOT,
            "model of %s parameters, %.3g GFLOP a token; peak of %s %.0f GFLOP/s",
            HumanUnits.exact(summary.parameters()),
            summary.flopsPerToken() / 1e9,
            summary.ranks() == 1 ? "this machine" : summary.ranks() + " ranks",
            summary.peakFlops() / 1e9));
    summary.parameterGroups().lines().forEach(LOG::info);
    LOG.info(
        "{} of {} steps, {} tokens each",
        summary.firstStep() == 0
            ? "beginning the first"
            : "going on after step " + HumanUnits.exact(summary.firstStep()),
        HumanUnits.exact(summary.totalSteps()),
        HumanUnits.exact(summary.tokensPerStep()));
  }

  @Override
  public void step(StepMetrics metrics) {
    steps.onStep(metrics);
  }

  @Override
  public void saved(long step, SaveTimes times) {
    LOG.info(
        String.format(
            Locale.ROOT,
            "saved step %s in %.2f s; training waited %.2f s of it",
            HumanUnits.exact(step),
            times.writeSeconds() + times.publishSeconds(),
            times.blockedSeconds()));
  }

  @Override
  public void evaluated(long step, EvaluationResult result) {
    LOG.info(
        String.format(
            Locale.ROOT, "evaluated step %s in %.1f s", HumanUnits.exact(step), result.seconds()));
    EvaluationTable.lines(result).forEach(out::print);
  }

  @Override
  public void warning(String message) {
    LOG.warn(message);
  }

  @Override
  public void close() {
    out.close();
  }
}
