package org.pretrain4j.configuration;

/** A user's text inside a message: on one line and not too long. */
final class Quoted {
  private static final int VALUE_LIMIT = 80;
  private static final int MESSAGE_LIMIT = 200;

  private Quoted() {}

  /** In quotes. */
  static String of(String text) {
    return '"' + shortened(text) + '"';
  }

  /** Without quotes. */
  static String shortened(String text) {
    return shortened(text, VALUE_LIMIT);
  }

  private static String shortened(String text, int limit) {
    StringBuilder shown = new StringBuilder();
    text.codePoints()
        .limit(limit)
        .forEach(
            c -> {
              if (Character.isISOControl(c) || c == 0x2028 || c == 0x2029) {
                shown.append(String.format("\\u%04x", c));
              } else {
                shown.appendCodePoint(c);
              }
            });
    return text.codePointCount(0, text.length()) > limit ? shown + "..." : shown.toString();
  }

  /** The first line of a message that says something. */
  static String firstLine(String text) {
    return shortened(text.strip().lines().findFirst().orElse(""), MESSAGE_LIMIT).strip();
  }
}
