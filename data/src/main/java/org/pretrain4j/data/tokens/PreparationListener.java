package org.pretrain4j.data.tokens;

/** Hears how the preparation of data goes on. Called from the thread that runs the job. */
public interface PreparationListener {
  /** Hears nothing. */
  PreparationListener NONE = new PreparationListener() {};

  /** About once a second, and at the end. */
  default void progress(Progress progress) {}

  /** Something that the user should know and that does not stop the job, in one line. */
  default void warning(String message) {}
}
