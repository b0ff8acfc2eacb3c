package org.pretrain4j.trainer.run;

import java.util.Optional;
import org.pretrain4j.trainer.optim.StepGuard;
import org.pretrain4j.trainer.run.RankTrainer.StepOutcome;

/** The steps of one rank, and when to save. */
final class RankLoop {
  private final RunConfig config;
  private final StopRequest stop;
  private final RankTrainer rank;
  private final CheckpointSaver saver;
  private final Optional<RunEvaluation> evaluation;
  private final StepReport report;

  RankLoop(
      RunConfig config,
      StopRequest stop,
      RankTrainer rank,
      CheckpointSaver saver,
      Optional<RunEvaluation> evaluation,
      StepReport report) {
    this.config = config;
    this.stop = stop;
    this.rank = rank;
    this.saver = saver;
    this.evaluation = evaluation;
    this.report = report;
  }

  TrainingResult run() throws InterruptedException {
    long total = config.totalSteps();
    double loss = Double.NaN;
    // A run that was stopped within an evaluation goes on from before it.
    boolean brokenOff = evaluation.isPresent() && !evaluation.get().makeUp(rank.stepsDone());
    boolean stopped = brokenOff;
    while (rank.stepsDone() < total && !stopped) {
      StepOutcome outcome = rank.step(stop.isWanted() || saver.hasFailed());
      loss = outcome.loss();
      stopped = outcome.stopWanted();
      long done = rank.stepsDone();
      boolean gaveUp = outcome.decision().verdict() == StepGuard.Verdict.STOP;
      boolean applied = outcome.decision().verdict() == StepGuard.Verdict.APPLY;
      // A run that skips step after step must not push its good checkpoints out of the folder.
      boolean due = applied && done % config.checkpoints().everySteps() == 0;
      boolean save = due || done == total || stopped;
      outcome.times().end();
      if (save && !gaveUp) {
        saver.save(done);
        if (done == total || stopped) {
          saver.finish();
        }
      }
      report.report(done, outcome, saver.takeTimes());
      if (gaveUp) {
        throw new DivergedException(
            outcome.decision().reason()
                + ": the run stops; the newest checkpoint is from before; look at the data and the"
                + " learning rate around this step");
      }
      if (!stopped && evaluation.isPresent() && !evaluation.get().after(done)) {
        brokenOff = true;
        stopped = true;
        if (!save) {
          saver.save(done);
        }
      }
    }
    saver.finish();
    return new TrainingResult(rank.stepsDone(), rank.stepsDone() == total && !brokenOff, loss);
  }
}
