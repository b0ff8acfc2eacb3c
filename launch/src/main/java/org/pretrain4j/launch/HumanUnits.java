package org.pretrain4j.launch;

import java.time.Duration;
import java.util.Locale;
import org.pretrain4j.data.shards.Manifest;

/** Numbers as people read them. */
final class HumanUnits {
  private static final String[] BYTE_UNITS = {"bytes", "kB", "MB", "GB", "TB", "PB"};
  private static final String[] COUNT_UNITS = {"", "k", "M", "B", "T", "Q"};

  private HumanUnits() {}

  /** Bytes in powers of ten: {@code 6.15 GB}. */
  static String bytes(double bytes) {
    return scaled(bytes, BYTE_UNITS, " ");
  }

  /** Tokens or parameters: {@code 3.08B}, {@code 11.1T}. */
  static String count(double count) {
    return scaled(count, COUNT_UNITS, "");
  }

  /** A count with all of its digits: {@code 2,359,296}. */
  static String exact(long count) {
    return String.format(Locale.ROOT, "%,d", count);
  }

  /** What a dataset holds, in one line. */
  static String dataset(String folder, Manifest manifest) {
    return String.format(
        Locale.ROOT,
        "%s: documents %s, tokens %s, shards %d, %s",
        folder,
        exact(manifest.documents()),
        exact(manifest.tokens()),
        manifest.shards().size(),
        bytes(manifest.bytes()));
  }

  /** Three digits and a unit; whole below a thousand. */
  private static String scaled(double number, String[] units, String separator) {
    int unit = 0;
    // 999.5 would be rounded to 1000.
    while (Math.abs(number) >= 999.5 && unit < units.length - 1) {
      number /= 1000;
      unit++;
    }
    int decimals = unit == 0 || Math.abs(number) >= 99.95 ? 0 : Math.abs(number) >= 9.995 ? 1 : 2;
    String digits = String.format(Locale.ROOT, "%." + decimals + "f", number);
    return units[unit].isEmpty() ? digits : digits + separator + units[unit];
  }

  /** The two largest units of a time: {@code 24d 9h}, {@code 3m 20s}, {@code 12s}. */
  static String time(Duration time) {
    long seconds = Math.round(time.toMillis() / 1000.0);
    long days = seconds / 86_400;
    long hours = seconds / 3_600 % 24;
    long minutes = seconds / 60 % 60;
    if (days > 0) {
      return days + "d " + hours + "h";
    }
    if (hours > 0) {
      return hours + "h " + minutes + "m";
    }
    return minutes > 0 ? minutes + "m " + seconds % 60 + "s" : seconds + "s";
  }
}
