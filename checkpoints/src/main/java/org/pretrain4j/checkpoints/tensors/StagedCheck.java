package org.pretrain4j.checkpoints.tensors;

import org.apache.hadoop.fs.Path;

/** A last look at what was written, before it appears under its name. */
@FunctionalInterface
public interface StagedCheck {
  /** Nothing more to look at. */
  StagedCheck NONE = written -> {};

  /**
   * Looks. Whatever it throws, nothing of the writing stays behind.
   *
   * @param written the folder or file under the name that it has until it is published
   */
  void check(Path written);
}
