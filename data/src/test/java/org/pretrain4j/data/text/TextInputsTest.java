package org.pretrain4j.data.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.Zstd;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;

class TextInputsTest {
  @TempDir Path folder;

  private List<String> read(String name, TextFormat format) throws IOException {
    List<String> texts = new ArrayList<>();
    for (DocumentInput input :
        TextInputs.find(
            Fixtures.STORAGE, List.of(folder.resolve(name).toString()), format, "text")) {
      try (DocumentReader reader = input.open()) {
        for (Document document = reader.next(); document != null; document = reader.next()) {
          texts.add(document.text());
        }
        assertEquals(input.bytes(), reader.bytesRead());
      }
    }
    return texts;
  }

  private void write(String name, byte[]... parts) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.write(part);
    }
    Files.write(folder.resolve(name), all.toByteArray());
  }

  private static byte[] gzip(String text) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(bytes(text));
    }
    return out.toByteArray();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String line(String text) {
    return "{\"id\": {\"text\": 7}, \"text\": \"" + text + "\", \"n\": [1]}\n";
  }

  private void assertRefused(String name, TextFormat format, String... parts) {
    String message = assertThrows(UserException.class, () -> read(name, format)).getMessage();
    assertEquals(1, message.lines().count(), message);
    for (String part : parts) {
      assertTrue(message.contains(part), message);
    }
  }

  @Test
  void jsonLinesInAnyCompressionAndNumberOfMembers() throws Exception {
    write(
        "a.jsonl",
        bytes(line("one") + "\n" + line("") + line("two \\u00e9\\n") + "{\"text\":\"3\"}"));
    assertEquals(List.of("one", "two \u00e9\n", "3"), read("a.jsonl", TextFormat.JSONL));
    write("b.jsonl.gz", gzip(line("one")), gzip(line("two")), gzip(line("three")));
    assertEquals(List.of("one", "two", "three"), read("b.jsonl.gz", TextFormat.JSONL));
    write("c.jsonl.zst", Zstd.compress(bytes(line("one"))), Zstd.compress(bytes(line("two"))));
    assertEquals(List.of("one", "two"), read("c.jsonl.zst", TextFormat.JSONL));
  }

  @Test
  void longLinesAreReadWhole() throws Exception {
    String text = "0123456789".repeat(50_000);
    write("a.jsonl", bytes(line(text) + line("x") + line(text)));
    assertEquals(List.of(text, "x", text), read("a.jsonl", TextFormat.JSONL));
  }

  @Test
  void aTextFileIsOneDocumentAndAnEmptyOneNone() throws Exception {
    write("a.txt", bytes("line\nline"));
    assertEquals(List.of("line\nline"), read("a.txt", TextFormat.TEXT));
    write("empty.txt");
    assertEquals(List.of(), read("empty.txt", TextFormat.TEXT));
  }

  @Test
  void malformedUtf8IsNamedWithItsByte() throws Exception {
    write("a.txt", bytes("good \u00e9 "), new byte[] {(byte) 0xc3, 'x'});
    assertRefused("a.txt", TextFormat.TEXT, "a.txt", "not UTF-8 at byte 8", "0xc3");
    write("b.jsonl", bytes(line("one")), new byte[] {'"', (byte) 0xff, '"', '\n'});
    assertRefused(
        "b.jsonl", TextFormat.JSONL, "b.jsonl:2", "at byte " + (line("one").length() + 1));
    write("c.txt", new byte[] {'a', (byte) 0xe2, (byte) 0x82});
    assertRefused("c.txt", TextFormat.TEXT, "at byte 1");
  }

  @Test
  void damagedArchivesAreRefused() throws Exception {
    byte[] first = gzip(line("one"));
    byte[] second = gzip(line("two"));
    write("cut.jsonl.gz", first, Arrays.copyOf(second, second.length - 9));
    assertRefused("cut.jsonl.gz", TextFormat.JSONL, "cut.jsonl.gz");
    byte[] damaged = second.clone();
    damaged[0] ^= 1;
    write("header.jsonl.gz", first, damaged);
    assertRefused("header.jsonl.gz", TextFormat.JSONL, "header.jsonl.gz");
    byte[] frame = Zstd.compress(bytes(line("one").repeat(1000)));
    write("cut.jsonl.zst", frame, Arrays.copyOf(frame, frame.length - 3));
    assertRefused("cut.jsonl.zst", TextFormat.JSONL, "cut.jsonl.zst");
    write("none.jsonl.gz", bytes("plain text"));
    assertRefused("none.jsonl.gz", TextFormat.JSONL, "none.jsonl.gz");
  }

  @Test
  void linesThatAreNotDocumentsAreNamed() throws Exception {
    write("a.jsonl", bytes(line("x") + "{\"text\": "));
    assertRefused("a.jsonl", TextFormat.JSONL, "a.jsonl:2", "not JSON");
    write("a.jsonl", bytes("{\"content\": \"x\"}\n"));
    assertRefused("a.jsonl", TextFormat.JSONL, "a.jsonl:1", "no field 'text'");
    write("a.jsonl", bytes("{\"text\": 5}\n"));
    assertRefused("a.jsonl", TextFormat.JSONL, "not a string");
    write("a.jsonl", bytes("[\"text\"]\n"));
    assertRefused("a.jsonl", TextFormat.JSONL, "expected a JSON object");
    write("a.jsonl", bytes("{\"text\": \"x\"} {}\n"));
    assertRefused("a.jsonl", TextFormat.JSONL, "more than one");
    write("a.jsonl", bytes("{\"text\": \"a\\ud800b\"}\n"));
    assertRefused("a.jsonl", TextFormat.JSONL, "unpaired surrogate");
  }

  @Test
  void filesComeOnceAndInOrderOfNames() throws Exception {
    write("b.txt", bytes("b"));
    write("a.txt", bytes("a"));
    List<DocumentInput> inputs =
        TextInputs.find(
            Fixtures.STORAGE, List.of(folder + "/b*", folder + "/*.txt"), TextFormat.TEXT, "text");
    assertEquals(2, inputs.size());
    assertTrue(inputs.get(0).name().endsWith("a.txt"));
  }

  @Test
  void anEmptyCompressedFileIsNoEmptyCorpus() throws Exception {
    write("none.jsonl.zst");
    assertRefused("none.jsonl.zst", TextFormat.JSONL, "none.jsonl.zst: has 0 bytes");
    write("none.txt.gz");
    assertRefused("none.txt.gz", TextFormat.TEXT, "none.txt.gz: has 0 bytes");
  }

  private TextFormat found(String pattern) throws IOException {
    return TextInputs.format(Fixtures.STORAGE, List.of(folder + pattern));
  }

  private void assertUndecided(String pattern, String part) {
    String message = assertThrows(UserException.class, () -> found(pattern)).getMessage();
    assertTrue(message.contains(part) && message.lines().count() == 1, message);
  }

  @Test
  void theFormatIsThatOfTheFilesThatAreFound() throws Exception {
    Files.createDirectories(folder.resolve("web"));
    write("web/web-0.jsonl.zst", bytes("x"));
    write("web/web-1.jsonl", bytes("x"));
    assertEquals(TextFormat.JSONL, found("/web"));
    assertEquals(TextFormat.JSONL, found("/web/web-*"));
    write("web/web-2.txt", bytes("x"));
    assertUndecided("/web", "several formats");
    assertEquals(TextFormat.TEXT, found("/web/*.txt"));
    write("web/c4.json.gz", bytes("x"));
    write("web/rows.parquet.gz", bytes("x"));
    assertUndecided("/web/*.json.gz", "give the format");
    assertUndecided("/web/*.parquet.gz", "give the format");
  }
}
