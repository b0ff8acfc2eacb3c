package org.pretrain4j.trainer.libtorch;

import ai.djl.engine.Engine;
import ai.djl.pytorch.jni.JniUtils;

/** How many threads libtorch's operators use. */
public final class ComputeThreads {

  private ComputeThreads() {}

  /** Sets the number for operators that the calling thread starts from now on. */
  public static void set(int threads) {
    Engine.getEngine(Libtorch.ENGINE);
    JniUtils.setNumThreads(threads);
  }
}
