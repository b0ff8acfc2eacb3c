package org.pretrain4j.data.curation;

import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.pretrain4j.configuration.UserException;

/**
 * Minimal rules that a document must keep. A limit of 0 (or 1 for the shares that must not be
 * exceeded) switches a rule off.
 *
 * @param minCharacters shortest text
 * @param maxCharacters longest text
 * @param maxDuplicateLineShare largest share of characters in lines that occurred before in the
 *     text (blank lines not counted)
 * @param minLetterShare smallest share of letters and digits among the characters that are no white
 *     space
 * @param minScriptShare smallest share of letters of the script below among all letters
 * @param script for example LATIN; empty for any
 */
public record QualityRules(
    int minCharacters,
    int maxCharacters,
    double maxDuplicateLineShare,
    double minLetterShare,
    double minScriptShare,
    Optional<Character.UnicodeScript> script) {

  public QualityRules {
    share("max_duplicate_line_share", maxDuplicateLineShare);
    share("min_letter_share", minLetterShare);
    share("min_script_share", minScriptShare);
    if (minCharacters < 0 || maxCharacters < minCharacters) {
      throw new UserException(
          "min_characters "
              + minCharacters
              + ", max_characters "
              + maxCharacters
              + "; expected 0 <= min <= max");
    }
  }

  private static void share(String name, double value) {
    if (!(value >= 0 && value <= 1)) {
      throw new UserException(name + ": " + value + "; expected a number from 0 to 1");
    }
  }

  /** Drops nothing. */
  public static QualityRules none() {
    return new QualityRules(0, Integer.MAX_VALUE, 1, 0, 0, Optional.empty());
  }

  /** Drops what is hardly text: very short, mostly repeated lines, mostly signs. */
  public static QualityRules defaults() {
    return new QualityRules(50, Integer.MAX_VALUE, 0.3, 0.5, 0, Optional.empty());
  }

  /** The rule that a text breaks, if any. */
  public Optional<DropReason> broken(String text) {
    if (text.length() < minCharacters) {
      return Optional.of(DropReason.TOO_SHORT);
    }
    if (text.length() > maxCharacters) {
      return Optional.of(DropReason.TOO_LONG);
    }
    if (maxDuplicateLineShare < 1 && duplicateLineShare(text) > maxDuplicateLineShare) {
      return Optional.of(DropReason.REPETITIVE);
    }
    return brokenByCharacters(text);
  }

  private Optional<DropReason> brokenByCharacters(String text) {
    long visible = 0;
    long letters = 0;
    long alphanumeric = 0;
    long ofScript = 0;
    for (int i = 0; i < text.length(); i += Character.charCount(text.codePointAt(i))) {
      int point = text.codePointAt(i);
      visible += Character.isWhitespace(point) ? 0 : 1;
      alphanumeric += Character.isLetterOrDigit(point) ? 1 : 0;
      if (Character.isLetter(point)) {
        letters++;
        ofScript += script.isPresent() && Character.UnicodeScript.of(point) == script.get() ? 1 : 0;
      }
    }
    if (alphanumeric < minLetterShare * visible) {
      return Optional.of(DropReason.FEW_LETTERS);
    }
    return script.isPresent() && ofScript < minScriptShare * letters
        ? Optional.of(DropReason.OTHER_SCRIPT)
        : Optional.empty();
  }

  private static double duplicateLineShare(String text) {
    Set<String> seen = new HashSet<>();
    long total = 0;
    long repeated = 0;
    for (String line : text.split("\n")) {
      String content = line.strip();
      total += content.length();
      repeated += content.isEmpty() || seen.add(content) ? 0 : content.length();
    }
    return total == 0 ? 0 : (double) repeated / total;
  }
}
