package org.pretrain4j.trainer.run;

import java.nio.file.Path;
import java.util.List;
import org.pretrain4j.data.stream.Row;
import org.pretrain4j.data.tokens.Progress;
import org.pretrain4j.trainer.evaluation.EvaluationResult;

/** Hears of a run's progress, on the thread of rank 0; slow listeners slow the run. */
public interface TrainingListener {

  /** Everything is ready; the first step comes next. */
  default void started(RunSummary summary) {}

  /** A step is done. */
  default void step(StepMetrics metrics) {}

  /** A checkpoint is complete; it may be some steps old by now. */
  default void saved(long step, SaveTimes times) {}

  /** The model was evaluated. */
  default void evaluated(long step, EvaluationResult result) {}

  /** The run is over, because its last step is done or because it was asked to stop. */
  default void ended(TrainingResult result) {}

  /** Something that the user should know, in one line. */
  default void warning(String message) {}

  /** A dataset is being tokenized. */
  default void preparing(Progress progress) {}

  /** The folder of the run. */
  default void folder(Path folder) {}

  /**
   * A rank of this process has read what it trains on in a step; unlike all else from the rank's
   * own thread.
   *
   * @param step from 0
   * @param rows the rank's share, in the order of the global batch
   */
  default void rows(long step, int rank, List<Row> rows) {}
}
