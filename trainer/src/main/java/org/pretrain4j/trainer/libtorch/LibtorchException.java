package org.pretrain4j.trainer.libtorch;

/**
 * An operator of libtorch refused its arguments; the message names it, the shapes and the types.
 */
public final class LibtorchException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  LibtorchException(String message) {
    super(message);
  }
}
