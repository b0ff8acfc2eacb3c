package org.pretrain4j.trainer.parallel.mpi;

/** A call of the MPI library that returned an error. */
final class MpiException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  MpiException(String message) {
    super(message);
  }
}
