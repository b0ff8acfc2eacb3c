package org.pretrain4j.data.tokens;

import java.util.ArrayList;
import java.util.List;

/**
 * Cuts long text where tokenizers cut it too: after a single line end between two characters that
 * are no white space. Byte-level pre-tokenizers (GPT-2, Llama 3, Qwen) never join such neighbours,
 * so the tokens are those of the whole text.
 */
final class TextPieces {
  static final int MAX_LENGTH = 1 << 17;

  private TextPieces() {}

  static List<String> split(String text) {
    List<String> pieces = new ArrayList<>();
    int from = 0;
    while (text.length() - from > MAX_LENGTH) {
      int to = cut(text, from, from + MAX_LENGTH);
      pieces.add(text.substring(from, to));
      from = to;
    }
    pieces.add(text.substring(from));
    return pieces;
  }

  private static int cut(String text, int from, int limit) {
    int lineEnd = -1;
    for (int i = limit; i > from + MAX_LENGTH / 2; i--) {
      if (text.charAt(i - 1) == '\n') {
        if (!Character.isWhitespace(text.charAt(i - 2))
            && !Character.isWhitespace(text.charAt(i))) {
          return i;
        }
        lineEnd = Math.max(lineEnd, i);
      }
    }
    if (lineEnd > 0) {
      return lineEnd;
    }
    return Character.isLowSurrogate(text.charAt(limit)) ? limit - 1 : limit;
  }
}
