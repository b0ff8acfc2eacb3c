package org.pretrain4j.data.tokens;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;

/**
 * Cuts long text after line ends that stand alone between a character that is no white space and a
 * letter or digit. Whether a tokenizer cuts there too, so that the tokens are those of the whole
 * text, is for {@link LineEnds} to say.
 */
final class TextPieces {
  /** Longer texts are cut, if they may be. */
  static final int MAX_LENGTH = 1 << 17;

  private TextPieces() {}

  /**
   * @param maxLength of a piece, in UTF-16 units; one in which there is no place to cut is longer
   */
  static List<String> split(String text, int maxLength) {
    List<String> pieces = new ArrayList<>();
    int from = 0;
    while (text.length() - from > maxLength) {
      int to = cut(text, from, maxLength);
      pieces.add(text.substring(from, to));
      from = to;
    }
    if (from < text.length()) {
      pieces.add(text.substring(from));
    }
    return pieces;
  }

  private static int cut(String text, int from, int maxLength) {
    for (int i = from + maxLength; i > from + maxLength / 2; i--) {
      if (isPlace(text, i)) {
        return i;
      }
    }
    for (int i = from + maxLength + 1; i < text.length(); i++) {
      if (isPlace(text, i)) {
        return i;
      }
    }
    return text.length();
  }

  private static boolean isPlace(String text, int i) {
    return i > 1
        && i < text.length()
        && text.charAt(i - 1) == '\n'
        && !isSpace(text.codePointBefore(i - 1))
        && Character.isLetterOrDigit(text.codePointAt(i))
        && isKept(text.codePointBefore(i - 1))
        && isKept(text.codePointAt(i));
  }

  /** More than Unicode's White_Space, so that no regular expression's idea of it is missed. */
  private static boolean isSpace(int character) {
    return Character.isWhitespace(character)
        || Character.isSpaceChar(character)
        || character == 0x85;
  }

  /** Normal forms make white space of some letters, such as U+FE70. */
  private static boolean isKept(int character) {
    return Normalizer.isNormalized(Character.toString(character), Normalizer.Form.NFKC);
  }
}
