package org.pretrain4j.trainer.run;

import java.util.LinkedHashMap;
import java.util.Map;
import org.pretrain4j.data.stream.Ledger;
import org.pretrain4j.data.stream.StagePlan;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.trainer.machine.GarbageCollectionTime;
import org.pretrain4j.trainer.machine.PeakMemory;
import org.pretrain4j.trainer.model.ModelFlops;
import org.pretrain4j.trainer.optim.StepGuard;
import org.pretrain4j.trainer.run.RankTrainer.StepOutcome;

/** Rank 0's report: a line of metrics for each step, and the listener. */
final class LeaderReport implements StepReport {
  private final long tokensPerStep;
  private final double flopsPerToken;
  private final double peakFlops;
  private final TokenStream stream;
  private final StagePlan plan;
  private final int dataChanges;
  private final MetricsLog log;
  private final MetricsLog rankLog;
  private final TrainingListener listener;
  private final RankPace pace;
  private final RankPhases phases;
  private final double idleShare;
  private long skippedSteps;
  private final GarbageCollectionTime garbageCollection = new GarbageCollectionTime();

  LeaderReport(
      RunConfig config,
      int worldSize,
      OpenedData data,
      LeaderSeat seat,
      TrainingListener listener,
      double peakFlops,
      long skippedSteps) {
    this.tokensPerStep = config.training().globalBatchTokens();
    this.flopsPerToken = ModelFlops.perToken(config.model(), config.training().sequenceLength());
    this.peakFlops = peakFlops;
    this.stream = data.stream();
    this.plan = stream.plan();
    this.dataChanges = data.changes().size();
    this.log = seat.log();
    this.rankLog = seat.rankLog();
    this.listener = listener;
    this.skippedSteps = skippedSteps;
    this.pace = new RankPace(Math.toIntExact(config.rowsPerStep()), worldSize);
    this.phases = new RankPhases(worldSize, config.totalSteps());
    this.idleShare = new RowDeal(config.rowsPerStep(), worldSize).idleShare();
  }

  @Override
  public void report(long stepsDone, StepOutcome outcome, SaveTimes saving) {
    boolean skipped = outcome.decision().verdict() != StepGuard.Verdict.APPLY;
    if (skipped) {
      skippedSteps++;
      listener.warning(outcome.decision().reason());
    }
    pace.warning(outcome.work()).ifPresent(listener::warning);
    int slowest = RankPace.slowest(outcome.work());
    StepTimes times = outcome.times();
    double seconds = times.seconds();
    double rate = tokensPerStep / seconds;
    Map<String, Long> datasetTokens = new LinkedHashMap<>();
    Map<String, Double> datasetEpochs = new LinkedHashMap<>();
    for (Ledger.Entry entry : stream.ledger(stepsDone).entries()) {
      datasetTokens.put(entry.dataset(), entry.tokens());
      datasetEpochs.put(entry.dataset(), entry.epochs());
    }
    StepMetrics metrics =
        new StepMetrics(
            stepsDone,
            plan.stage(plan.stageAt(stepsDone - 1)).name(),
            stepsDone * tokensPerStep,
            finiteOrNull(outcome.loss()),
            outcome.learningRate(),
            finiteOrNull(outcome.gradNorm()),
            skipped,
            skippedSteps,
            seconds,
            rate,
            rate * flopsPerToken / peakFlops,
            times.dataWaitSeconds(),
            times.communicationSeconds(),
            times.phaseSeconds(),
            saving.blockedSeconds(),
            saving.writeSeconds(),
            saving.publishSeconds(),
            slowest,
            outcome.work().get(slowest).seconds(),
            idleShare,
            garbageCollection.takeSeconds(),
            PeakMemory.residentBytes(),
            shares(stepsDone),
            datasetTokens,
            datasetEpochs,
            outcome.substitutes(),
            dataChanges);
    log.write(metrics);
    phases.add(stepsDone, outcome.work()).ifPresent(rankLog::write);
    listener.step(metrics);
  }

  /** Share of each dataset in the rows of the current stage so far. */
  private Map<String, Double> shares(long stepsDone) {
    int stage = plan.stageAt(stepsDone - 1);
    long rows = (stepsDone - plan.firstStep(stage)) * plan.rowsPerStep();
    long[] before = plan.samples(plan.firstStep(stage));
    long[] now = plan.samples(stepsDone);
    Map<String, Double> shares = new LinkedHashMap<>();
    for (int i = 0; i < now.length; i++) {
      if (plan.weight(stage, i) > 0) {
        shares.put(plan.datasets().get(i), (double) (now[i] - before[i]) / rows);
      }
    }
    return shares;
  }

  private static Double finiteOrNull(double value) {
    return Double.isFinite(value) ? value : null;
  }
}
