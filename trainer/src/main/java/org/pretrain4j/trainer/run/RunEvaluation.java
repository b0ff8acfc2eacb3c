package org.pretrain4j.trainer.run;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.Tokenizer;
import org.pretrain4j.trainer.evaluation.DatasetScore;
import org.pretrain4j.trainer.evaluation.Evaluation;
import org.pretrain4j.trainer.evaluation.EvaluationConfig;
import org.pretrain4j.trainer.evaluation.EvaluationResult;
import org.pretrain4j.trainer.evaluation.RankExchange;
import org.pretrain4j.trainer.evaluation.TaskScore;
import org.pretrain4j.trainer.model.InferenceModel;
import org.pretrain4j.trainer.parallel.Collectives;

/**
 * Evaluates a run's model between two steps, with all ranks, in fp32, with the weights that the
 * passes compute with. It only reads them: the run goes on as if nothing had been.
 */
final class RunEvaluation implements AutoCloseable {
  static final String FILE_NAME = "evaluations.jsonl";

  private final StopRequest stop;
  private final Collectives collectives;
  private final RankTrainer rank;
  private final EvaluationConfig config;
  private final long totalSteps;
  private final RankExchange exchange;
  private final TrainingListener listener;
  private final Tokenizer tokenizer;
  private final Evaluation evaluation;
  private final InferenceModel model;
  private final Optional<MetricsLog> log;

  /** A line of {@value #FILE_NAME}. */
  private record Line(
      long step,
      double seconds,
      Map<String, DatasetScore> datasets,
      Map<String, TaskScore> tasks) {}

  private RunEvaluation(
      RunConfig run,
      StopRequest stop,
      Collectives collectives,
      RankTrainer rank,
      TrainingListener listener) {
    this.stop = stop;
    this.collectives = collectives;
    this.rank = rank;
    this.config = run.evaluation().orElseThrow();
    this.totalSteps = run.totalSteps();
    this.exchange = new Interruptible(RankExchange.over(collectives));
    this.listener = listener;
    Storage storage = new Storage(new Configuration());
    this.tokenizer =
        Tokenizer.load(storage, run.tokenizer().path(), run.tokenizer().endOfDocument());
    this.evaluation =
        new Evaluation(config, storage, tokenizer, run.training().sequenceLength(), run.seed());
    this.model =
        InferenceModel.exact(
            rank.device().manager(), run.model(), rank.weights(), evaluation.sequenceLength());
    Path folder = Path.of(run.runFolder().orElseThrow());
    this.log =
        collectives.rank() == 0
            ? Optional.of(new MetricsLog(folder, FILE_NAME, rank.stepsDone()))
            : Optional.empty();
  }

  /** Empty if the run asks for none. */
  static Optional<RunEvaluation> of(
      RunConfig run,
      StopRequest stop,
      Collectives collectives,
      RankTrainer rank,
      TrainingListener listener) {
    return run.evaluation().isPresent()
        ? Optional.of(new RunEvaluation(run, stop, collectives, rank, listener))
        : Optional.empty();
  }

  /**
   * Evaluates, if it is time to. All ranks call it after each step.
   *
   * @return whether the run may go on; false if it was broken off, as a rank was asked to stop
   */
  boolean after(long stepsDone) {
    if (stepsDone % config.everySteps() != 0 && stepsDone != totalSteps) {
      return true;
    }
    rank.enter("evaluation");
    EvaluationResult result;
    try {
      result = evaluation.run(model::targetLogProbabilities, exchange);
    } catch (BrokenOff e) {
      return false;
    }
    if (log.isPresent()) {
      log.get().write(new Line(stepsDone, result.seconds(), result.datasets(), result.tasks()));
      listener.evaluated(stepsDone, result);
    }
    return true;
  }

  /** As {@link #after}, before the first step, where the evaluation of that step is missing. */
  boolean makeUp(long stepsDone) {
    long missing = log.isPresent() && log.get().lastStep() < stepsDone ? 1 : 0;
    return collectives.allGatherLong(missing)[0] == 0 || after(stepsDone);
  }

  /** Asks between batches whether any rank is to stop. */
  private final class Interruptible implements RankExchange {
    private final RankExchange engine;

    private Interruptible(RankExchange engine) {
      this.engine = engine;
    }

    @Override
    public int rank() {
      return engine.rank();
    }

    @Override
    public int worldSize() {
      return engine.worldSize();
    }

    @Override
    public List<double[]> gather(double[] mine) {
      for (long wanted : collectives.allGatherLong(stop.isWanted() ? 1 : 0)) {
        if (wanted != 0) {
          throw new BrokenOff();
        }
      }
      return engine.gather(mine);
    }
  }

  /** On all ranks alike. */
  private static final class BrokenOff extends RuntimeException {
    private static final long serialVersionUID = 1L;

    BrokenOff() {
      super("a rank was asked to stop");
    }
  }

  @Override
  public void close() {
    model.close();
    tokenizer.close();
    log.ifPresent(MetricsLog::close);
  }
}
