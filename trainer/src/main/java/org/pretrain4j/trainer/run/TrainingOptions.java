package org.pretrain4j.trainer.run;

/**
 * What the caller of a run decides, besides its configuration.
 *
 * @param resume what to do with a run that the folder already holds
 * @param mayChangeData whether a run may go on with other data than it had
 * @param stop by which the caller may ask to stop
 */
public record TrainingOptions(Resume resume, boolean mayChangeData, StopRequest stop) {

  /** A run's data stays as it is. */
  public TrainingOptions(Resume resume, StopRequest stop) {
    this(resume, false, stop);
  }
}
