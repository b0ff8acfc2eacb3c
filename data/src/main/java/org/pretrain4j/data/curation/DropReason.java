package org.pretrain4j.data.curation;

/** Why a document is left out. */
public enum DropReason {
  TOO_SHORT,
  TOO_LONG,
  REPETITIVE,
  FEW_LETTERS,
  OTHER_SCRIPT,
  /** The same text as an earlier document's. */
  DUPLICATE,
  /** Much the same words as an earlier document's. */
  NEAR_DUPLICATE
}
