package org.pretrain4j.data.text;

/** How documents lie in a file. */
public enum TextFormat {
  /** One document a file. */
  TEXT,
  /** One JSON object a line, the text in one of its fields. */
  JSONL
}
