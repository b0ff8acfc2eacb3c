package org.pretrain4j.trainer.parallel.natives;

/** A call of a C function by its method handle, which may throw anything. */
@FunctionalInterface
public interface NativeCall {
  /** The function's result code. */
  int run() throws Throwable;

  /** Runs a call; what it throws is thrown unchecked. */
  static int code(NativeCall call) {
    try {
      return call.run();
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  /** What to throw for what a method handle has thrown. */
  static RuntimeException unchecked(Throwable e) {
    return switch (e) {
      case RuntimeException exception -> exception;
      case Error error -> throw error;
      default -> new IllegalStateException(e);
    };
  }
}
