package org.pretrain4j.configuration;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/** Guesses which of the valid names a wrong one was meant to be. */
public final class Nearest {
  private static final int MOST_LISTED = 20;
  private static final int LONGEST_COMPARED = 200;

  private Nearest() {}

  /**
   * What to append to a message about a wrong name: {@code ; did you mean x?}, or what the valid
   * names are where none is near.
   */
  public static String hint(String wrong, Collection<String> valid) {
    Optional<String> near = to(wrong, valid);
    if (near.isPresent()) {
      return "; did you mean " + near.get() + "?";
    }
    if (valid.isEmpty()) {
      return "";
    }
    List<String> sorted = valid.stream().sorted().toList();
    String more = sorted.size() > MOST_LISTED ? ", ..." : "";
    return sorted.stream()
        .limit(MOST_LISTED)
        .collect(Collectors.joining(", ", "; valid are ", more));
  }

  /** The valid name with the fewest edits from the wrong one, if they are few for its length. */
  public static Optional<String> to(String wrong, Collection<String> valid) {
    String lower = wrong.toLowerCase(Locale.ROOT).replace('-', '_');
    return valid.stream()
        .filter(name -> isNear(lower, name))
        .min(
            Comparator.comparingInt((String name) -> distance(lower, normal(name)))
                .thenComparing(Comparator.naturalOrder()));
  }

  private static boolean isNear(String lower, String name) {
    String other = normal(name);
    int longest = Math.max(lower.length(), other.length());
    if (longest > LONGEST_COMPARED) {
      return false;
    }
    return distance(lower, other) <= Math.max(1, longest / 3)
        || (lower.length() >= 3
            && other.length() >= 3
            && (other.contains(lower) || lower.contains(other)));
  }

  private static String normal(String name) {
    return name.toLowerCase(Locale.ROOT).replace('-', '_');
  }

  /** Edit distance that counts the exchange of two neighbours as one edit. */
  static int distance(String a, String b) {
    int[][] edits = new int[a.length() + 1][b.length() + 1];
    for (int i = 0; i <= a.length(); i++) {
      for (int j = 0; j <= b.length(); j++) {
        if (i == 0 || j == 0) {
          edits[i][j] = i + j;
          continue;
        }
        int replaced = edits[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        edits[i][j] = Math.min(replaced, 1 + Math.min(edits[i - 1][j], edits[i][j - 1]));
        if (i > 1
            && j > 1
            && a.charAt(i - 1) == b.charAt(j - 2)
            && a.charAt(i - 2) == b.charAt(j - 1)) {
          edits[i][j] = Math.min(edits[i][j], 1 + edits[i - 2][j - 2]);
        }
      }
    }
    return edits[a.length()][b.length()];
  }
}
