package org.pretrain4j.trainer.libtorch;

import java.util.function.Supplier;

/**
 * Whether operators on the calling thread are recorded for differentiation; they are not at first.
 */
public final class GradientMode {

  private GradientMode() {}

  /** Runs the body with recording on, and switches it off again. */
  public static <T> T record(Supplier<T> body) {
    set(true);
    try {
      return body.get();
    } finally {
      set(false);
    }
  }

  /** Switches recording off for the calling thread, whatever was on before. */
  public static void off() {
    set(false);
  }

  private static void set(boolean enabled) {
    try {
      Libtorch.SET_GRAD_MODE.invokeExact(enabled);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }
}
