package org.pretrain4j.configuration;

/** A user's text inside a message: in quotes, on one line, not too long. */
final class Quoted {
  private static final int LIMIT = 80;

  private Quoted() {}

  static String of(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    text.codePoints()
        .limit(LIMIT)
        .forEach(
            c -> {
              if (Character.isISOControl(c) || c == 0x2028 || c == 0x2029) {
                quoted.append(String.format("\\u%04x", c));
              } else {
                quoted.appendCodePoint(c);
              }
            });
    return quoted.append(text.codePointCount(0, text.length()) > LIMIT ? "...\"" : "\"").toString();
  }
}
