package org.pretrain4j.data.tokens;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;

class TokenizerTest {
  private static String randomText(Random random, int length) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < length; i++) {
      int point =
          switch (random.nextInt(4)) {
            case 0 -> random.nextInt(0x80);
            case 1 -> random.nextInt(0x800);
            case 2 -> 0x1F300 + random.nextInt(0x300);
            default -> random.nextInt(0xD800);
          };
      text.appendCodePoint(point);
    }
    return text.toString();
  }

  @Test
  void bytesAreTheIdsAndAnyTextComesBack() {
    long seed = 17;
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      assertEquals(272, tokenizer.vocabSize());
      assertEquals(257, tokenizer.endOfDocument());
      Random random = new Random(seed);
      for (int i = 0; i < 300; i++) {
        String text = randomText(random, random.nextInt(200));
        int[] ids = tokenizer.encode(text);
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        assertEquals(bytes.length, ids.length, "seed " + seed + ", text " + i);
        for (int t = 0; t < ids.length; t++) {
          assertEquals(bytes[t] & 0xff, ids[t]);
        }
        assertEquals(text, tokenizer.decode(ids));
      }
    }
  }

  @Test
  void textThatSpellsASpecialTokenStaysText() {
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      String text = "a<|end_of_text|><|end_of_text|>b<|begin_of_text|>";
      int[] ids = tokenizer.encode(text);
      for (int id : ids) {
        assertTrue(id < 256, "special token " + id);
      }
      assertEquals(text, tokenizer.decode(ids));
      assertEquals("<|end_of_text|>", tokenizer.decode(new int[] {257}));
    }
  }

  @Test
  void longTextsAreTokenizedInPiecesWithoutLoss() {
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      String lines = "some words, some more\n\nand \u00e9\uD83D\uDE00 ".repeat(20_000);
      assertTrue(lines.length() > 4 * TextPieces.MAX_LENGTH);
      assertEquals(lines, tokenizer.decode(tokenizer.encode(lines)));
      String emoji = "\uD83D\uDE00".repeat(200_000);
      assertEquals(emoji, tokenizer.decode(tokenizer.encode("x" + emoji)).substring(1));
    }
  }

  @Test
  void piecesAreCutAtLineEndsBetweenCharacters() {
    String text = ("x".repeat(99) + "\n").repeat(3000);
    List<String> pieces = TextPieces.split(text, TextPieces.MAX_LENGTH);
    assertEquals(text, String.join("", pieces));
    for (String piece : pieces) {
      assertTrue(piece.endsWith("\n") && piece.length() <= TextPieces.MAX_LENGTH);
    }
  }

  @Test
  void manyThreadsShareOne() throws Exception {
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer();
        ExecutorService pool = Executors.newFixedThreadPool(8)) {
      List<Future<int[]>> results = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        String text = "text number " + i % 10;
        results.add(pool.submit(() -> tokenizer.encode(text)));
      }
      for (int i = 0; i < 200; i++) {
        assertArrayEquals(tokenizer.encode("text number " + i % 10), results.get(i).get());
      }
    }
  }

  @Test
  void unusableFilesAreNamed(@TempDir Path folder) throws Exception {
    String good = "../configs/tokenizers/bytes/tokenizer.json";
    assertMessage(() -> load(good, "<eos>"), "has no token '<eos>'");
    assertMessage(() -> load(folder.resolve("none.json").toString(), "x"), "does not exist");
    Path bad = folder.resolve("bad.json");
    Files.writeString(bad, "{\"model\": ");
    assertMessage(() -> load(bad.toString(), "x"), "is not a tokenizer.json");
    Files.writeString(bad, "{\"model\": {\"type\": \"Nothing\", \"vocab\": {\"x\": 0}}}");
    assertMessage(() -> load(bad.toString(), "x"), "not a usable tokenizer.json");
  }

  private static void load(String path, String endOfDocument) {
    Tokenizer.load(Fixtures.STORAGE, path, endOfDocument).close();
  }

  private static void assertMessage(org.junit.jupiter.api.function.Executable code, String part) {
    String message = assertThrows(UserException.class, code).getMessage();
    assertTrue(message.contains(part), message);
    assertEquals(1, message.lines().count(), message);
  }
}
