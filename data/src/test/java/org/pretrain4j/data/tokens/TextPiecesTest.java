package org.pretrain4j.data.tokens;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.pretrain4j.data.Fixtures;

/** The tokens of long texts are those of the whole text, whatever the tokenizer. */
class TextPiecesTest {
  private static final long SEED = Long.getLong("seed", 20);
  private static final int PIECE = 60;
  private static final List<String> PARTS =
      List.of(
          "word",
          "Words",
          "a",
          "'s",
          "\u00e9t\u00e9",
          "e\u0301",
          "\u4e2d\u6587\u5b57",
          "\u0627\u0644",
          "\uD83D\uDE00",
          "42",
          "7",
          "!",
          "...",
          "/",
          "-",
          "\u00a8",
          "\ufe70",
          "\ufdfa",
          "\u00bd",
          "<|end_of_text|>",
          "<tool>",
          "averylongwordwithoutanyspaceinit",
          "\u0301");
  private static final List<String> GAPS =
      List.of(
          "",
          "",
          " ",
          " ",
          " ",
          " ",
          "\n",
          "\n",
          "\n",
          "\n\n",
          "  ",
          " \n",
          "\n ",
          "\u00a0",
          "\u00a0\n",
          "\n\u00a0",
          "\r\n",
          "\r",
          "\t",
          "\u2028",
          "\u0085\n",
          "\u3000");

  @TempDir Path folder;

  private static String text(Random random, int parts) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < parts; i++) {
      text.append(PARTS.get(random.nextInt(PARTS.size())));
      text.append(GAPS.get(random.nextInt(GAPS.size())));
    }
    return text.toString();
  }

  private Tokenizer tokenizer(TrainedBpe.Kind kind) throws Exception {
    Path file = folder.resolve("tokenizer.json");
    StringBuilder sample = new StringBuilder();
    for (int i = 0; i < 20; i++) {
      sample.append(text(new Random(i), 100));
    }
    Files.writeString(file, TrainedBpe.json(kind, sample.toString(), 300));
    return Tokenizer.load(Fixtures.STORAGE, file.toUri().toString(), "<|end_of_text|>");
  }

  @ParameterizedTest
  @EnumSource(TrainedBpe.Kind.class)
  void theTokensOfPiecesAreThoseOfTheWhole(TrainedBpe.Kind kind) throws Exception {
    Random random = new Random(SEED);
    int different = 0;
    int pieces = 0;
    int texts = 300;
    try (Tokenizer tokenizer = tokenizer(kind)) {
      for (int i = 0; i < texts; i++) {
        String text = text(random, 10 + random.nextInt(200));
        int[] whole = tokenizer.encode(text, Integer.MAX_VALUE);
        String what = kind + ", seed " + SEED + ", text " + i;
        assertArrayEquals(whole, tokenizer.encode(text, PIECE), what);
        List<String> cut = TextPieces.split(text, PIECE);
        pieces += cut.size();
        int[] forced =
            cut.stream()
                .flatMapToInt(piece -> Arrays.stream(tokenizer.encode(piece, Integer.MAX_VALUE)))
                .toArray();
        different += Arrays.equals(whole, forced) ? 0 : 1;
      }
    }
    assertTrue(pieces > 3 * texts, pieces + " pieces of " + texts + " texts");
    if (kind.joinsLines()) {
      assertTrue(different > texts / 4, "cutting changes tokens in " + different + " texts only");
    } else {
      assertEquals(0, different, "texts whose tokens cutting changes");
    }
  }

  @Test
  void piecesMakeUpTheTextAndOneWithoutAPlaceToCutIsLeftWhole() {
    Random random = new Random(SEED);
    for (int i = 0; i < 200; i++) {
      String text = text(random, random.nextInt(200));
      assertEquals(text, String.join("", TextPieces.split(text, 1 + random.nextInt(100))));
    }
    String spaces = "no line ends at all ".repeat(100) + "\n\nlast";
    assertEquals(List.of(spaces), TextPieces.split(spaces, 100));
    assertEquals(List.of(spaces + "a\n", "b"), TextPieces.split(spaces + "a\nb", 100));
  }
}
