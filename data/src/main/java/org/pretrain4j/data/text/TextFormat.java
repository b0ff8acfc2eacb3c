package org.pretrain4j.data.text;

/** How documents lie in a file. */
public enum TextFormat {
  /** One document a file. */
  TEXT,
  /** One JSON object a line, the text in one of its fields. */
  JSONL,
  /** One row a document, the text in one of the columns of a Parquet file. */
  PARQUET,
  /** One row a document, the text in one of the columns of an Arrow IPC file. */
  ARROW,
  /** Tokens as datatrove writes them: {@code x.ds} with {@code x.ds.index}. */
  DATATROVE,
  /**
   * Tokens as Megatron-LM writes them: {@code x.bin} with {@code x.idx}; patterns name the latter.
   */
  MEGATRON
}
