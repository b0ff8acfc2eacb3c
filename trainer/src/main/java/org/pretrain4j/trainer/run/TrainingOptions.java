package org.pretrain4j.trainer.run;

/**
 * What the caller of a run decides, besides its configuration.
 *
 * @param resume what to do with a run that the folder already holds
 * @param stop by which the caller may ask to stop
 */
public record TrainingOptions(Resume resume, StopRequest stop) {}
