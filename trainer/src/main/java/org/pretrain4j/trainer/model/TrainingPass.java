package org.pretrain4j.trainer.model;

/** One forward and backward pass over a micro-batch. */
public interface TrainingPass extends AutoCloseable {

  /**
   * Runs the pass.
   *
   * @param batch rows of this rank
   * @param sink takes the gradients of the sum of the losses
   */
  void run(MicroBatch batch, GradientSink sink);

  /**
   * The loss of the passes since the last call; waits for them, where the device works on its own.
   *
   * @return the sum of the cross entropies over all targets that count, in nats
   */
  double takeLoss();

  /** Where the time of the passes goes; to be drained after each step. */
  PhaseClock clock();

  @Override
  void close();
}
