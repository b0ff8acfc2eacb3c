package org.pretrain4j.configuration;

import java.math.BigDecimal;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Numbers as a configuration may write them. */
final class Numbers {
  static final String WHOLE = "a whole number such as 4096, 8_000, 25K, 2.36M or 8T";
  static final String ANY = "a finite number such as 0.9, 3 or 2e-4";

  /** An integer has no leading zero, since other YAML parsers take that for octal. */
  private static final Pattern NUMBER =
      Pattern.compile(
          "([-+]?(?:(?:0|[1-9][0-9_]*)(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][-+]?[0-9]{1,6})?)([KMBT]?)");

  private static final Map<String, Integer> ZEROS = Map.of("", 0, "K", 3, "M", 6, "B", 9, "T", 12);

  private Numbers() {}

  /** A text that is no number of the kind asked for; the message says what was expected. */
  static final class BadNumberException extends Exception {
    private static final long serialVersionUID = 1L;

    BadNumberException(String expected) {
      super(expected);
    }
  }

  /** Whether a text is a number without a suffix. */
  static boolean isPlain(String text) {
    Matcher matcher = NUMBER.matcher(text);
    return matcher.matches() && matcher.group(2).isEmpty();
  }

  /** A whole number from low to high; K, M, B and T stand for thousand, million and so on. */
  static long whole(String text, long low, long high) throws BadNumberException {
    Matcher matcher = match(text, WHOLE);
    BigDecimal value =
        new BigDecimal(matcher.group(1).replace("_", ""))
            .scaleByPowerOfTen(ZEROS.get(matcher.group(2)));
    if (value.signum() != 0 && value.precision() - value.scale() > 19
        || value.compareTo(BigDecimal.valueOf(low)) < 0
        || value.compareTo(BigDecimal.valueOf(high)) > 0) {
      throw new BadNumberException("a whole number from " + low + " to " + high);
    }
    if (value.signum() != 0 && value.stripTrailingZeros().scale() > 0) {
      throw new BadNumberException(WHOLE);
    }
    return value.longValueExact();
  }

  /** A finite number; one so small that it would become 0 is refused as well. */
  static double real(String text) throws BadNumberException {
    Matcher matcher = match(text, ANY);
    if (!matcher.group(2).isEmpty()) {
      throw new BadNumberException(ANY);
    }
    String digits = matcher.group(1).replace("_", "");
    double value = Double.parseDouble(digits);
    if (!Double.isFinite(value) || value == 0 && new BigDecimal(digits).signum() != 0) {
      throw new BadNumberException(ANY);
    }
    return value;
  }

  private static Matcher match(String text, String expected) throws BadNumberException {
    Matcher matcher = NUMBER.matcher(text);
    if (text.length() > 100 || !matcher.matches()) {
      throw new BadNumberException(expected);
    }
    return matcher;
  }
}
