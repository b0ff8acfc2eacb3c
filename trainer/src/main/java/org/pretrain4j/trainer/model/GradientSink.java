package org.pretrain4j.trainer.model;

import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.Tensor;

/** Takes the gradients of a backward pass, as they become known. */
public interface GradientSink {

  /**
   * The memory of a parameter's sum.
   *
   * @param tensor float32, of the parameter's shape
   * @param first whether it holds nothing of this step yet: its values must be overwritten
   */
  record Sum(Tensor tensor, boolean first) implements AutoCloseable {
    @Override
    public void close() {
      tensor.close();
    }
  }

  /**
   * Adds a gradient to what was added before.
   *
   * @param parameter whose gradient it is; a parameter that is used twice is named twice
   * @param gradient of the parameter's shape; the caller closes it
   */
  void add(FlatLayout.Entry parameter, Tensor gradient);

  /**
   * The sum of a parameter's gradients so far, for what adds to it in place. Whoever asks for it
   * must write all of it, if it is the first.
   *
   * @return the caller closes it
   */
  Sum sumOf(FlatLayout.Entry parameter);

  /** Says that nothing more will be added to the parameters of a part in this pass. */
  void partDone(int part);
}
