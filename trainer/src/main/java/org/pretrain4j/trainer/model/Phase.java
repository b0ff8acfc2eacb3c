package org.pretrain4j.trainer.model;

/** What a training pass is doing. */
public enum Phase {
  EMBEDDING,
  FORWARD,
  HEAD,
  BACKWARD
}
