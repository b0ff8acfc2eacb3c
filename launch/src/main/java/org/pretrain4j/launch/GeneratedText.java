package org.pretrain4j.launch;

import java.io.PrintStream;
import java.util.Arrays;
import org.pretrain4j.data.tokens.Tokenizer;

/**
 * A text that grows token by token and is printed as it grows. A token may end in the middle of a
 * character; what can't be read yet is held back until it can.
 */
final class GeneratedText {
  private static final char UNREADABLE = '\uFFFD';

  private final Tokenizer tokenizer;
  private final PrintStream out;
  private int[] tokens;
  private int length;
  private int printed;

  /**
   * @param prompt printed at once
   */
  GeneratedText(Tokenizer tokenizer, PrintStream out, int[] prompt) {
    this.tokenizer = tokenizer;
    this.out = out;
    this.tokens = prompt.clone();
    this.length = prompt.length;
    print(false);
  }

  void add(int token) {
    if (length == tokens.length) {
      tokens = Arrays.copyOf(tokens, Math.max(16, 2 * length));
    }
    tokens[length++] = token;
    print(false);
  }

  /** The last tokens, at most so many. */
  int[] last(int most) {
    return Arrays.copyOfRange(tokens, Math.max(0, length - most), length);
  }

  /** Prints what is still held back, and ends the line. */
  void end() {
    print(true);
    out.println();
    out.flush();
  }

  private void print(boolean everything) {
    String text = tokenizer.decode(Arrays.copyOf(tokens, length));
    int end = text.length();
    while (!everything && end > printed && text.charAt(end - 1) == UNREADABLE) {
      end--;
    }
    if (end > printed) {
      out.print(text.substring(printed, end));
      out.flush();
      printed = end;
    }
  }
}
