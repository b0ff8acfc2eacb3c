package org.pretrain4j.data.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class ArithmeticInputTest {
  private static String read(int documents, long seed) throws Exception {
    StringBuilder all = new StringBuilder();
    try (DocumentReader reader = new ArithmeticInput(documents, seed).open()) {
      for (Document document = reader.next(); document != null; document = reader.next()) {
        all.append(document.text());
      }
    }
    return all.toString();
  }

  @Test
  void theSameSeedGivesTheSameText() throws Exception {
    assertEquals(read(50, 6), read(50, 6));
    assertNotEquals(read(50, 6), read(50, 7));
    assertTrue(read(60, 6).startsWith(read(50, 6)));
  }

  @Test
  void sixThousandDocumentsAreAboutAMegabyteAndDiffer() throws Exception {
    assertEquals(1e6, read(6000, 6).length(), 2e5);
    Set<String> first = new HashSet<>();
    for (int i = 0; i < 1000; i++) {
      first.add(ArithmeticProblem.write(1, i));
    }
    assertTrue(first.size() > 980, "only " + first.size() + " different documents");
  }

  @Test
  void everySumDifferenceAndProductIsRight() throws Exception {
    Pattern equation =
        Pattern.compile(
            "(?<![\\d/x*+.-] |\\d|/)(-?\\d+) ([-+*]) \\(?(-?\\d+)\\)? = (-?\\d+)(?![\\d/x])");
    Matcher matcher = equation.matcher(read(3000, 6));
    int found = 0;
    while (matcher.find()) {
      long a = Long.parseLong(matcher.group(1));
      long b = Long.parseLong(matcher.group(3));
      long right =
          switch (matcher.group(2)) {
            case "+" -> a + b;
            case "-" -> a - b;
            default -> a * b;
          };
      assertEquals(right, Long.parseLong(matcher.group(4)), matcher.group());
      found++;
    }
    assertTrue(found > 3000, "only " + found + " equations checked");
  }
}
