package org.pretrain4j.trainer.model;

/** One forward and backward pass over a micro-batch. */
public interface TrainingPass extends AutoCloseable {

  /**
   * Runs the pass.
   *
   * @param batch rows of this rank
   * @param sink takes the gradients of the sum of the losses
   * @return the sum of the cross entropies over all targets that count, in nats
   */
  double run(MicroBatch batch, GradientSink sink);

  /** Where the time of the passes goes. */
  PhaseClock clock();

  @Override
  void close();
}
