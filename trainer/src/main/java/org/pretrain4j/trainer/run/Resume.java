package org.pretrain4j.trainer.run;

/** What to do with a run that the folder already holds. */
public enum Resume {
  /** Go on where it stopped, or begin if there is none. */
  AUTO,
  /** Refuse to touch it. */
  NEVER,
  /** Refuse to begin a new one. */
  REQUIRED
}
