package org.pretrain4j.data.text;

/**
 * One document of the corpus: text, or tokens if the corpus is tokenized already.
 *
 * @param text its text, valid Unicode; null if it is tokens
 * @param tokens its tokens, with or without the end-of-document token; null if it is text
 * @param origin where it came from, for messages: a file, or file and line
 */
public record Document(String text, int[] tokens, String origin) {
  public Document {
    if ((text == null) == (tokens == null)) {
      throw new IllegalArgumentException("either text or tokens");
    }
  }

  public Document(String text, String origin) {
    this(text, null, origin);
  }

  public Document(int[] tokens, String origin) {
    this(null, tokens, origin);
  }

  /** Characters or tokens, as a measure of the memory that it takes. */
  public int size() {
    return text == null ? tokens.length : text.length();
  }
}
