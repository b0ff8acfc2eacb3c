package org.pretrain4j.data.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.ZstdOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;

/** Random damage to JSONL files. Archives carry checksums, so there every change must be found. */
class CorruptTextTest {
  private static final long SEED = Long.getLong("seed", 7);

  @TempDir Path folder;

  private List<String> read(Path file) throws Exception {
    List<String> texts = new ArrayList<>();
    for (DocumentInput input :
        TextInputs.find(Fixtures.STORAGE, List.of(file.toString()), TextFormat.JSONL, "text")) {
      try (DocumentReader reader = input.open()) {
        for (Document document = reader.next(); document != null; document = reader.next()) {
          texts.add(document.text());
        }
      }
    }
    return texts;
  }

  private static byte[] content(String name) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    // Three members or frames.
    for (int part = 0; part < 3; part++) {
      OutputStream compressed =
          name.endsWith(".gz")
              ? new GZIPOutputStream(out)
              : name.endsWith(".zst") ? new ZstdOutputStream(out).setChecksum(true) : null;
      OutputStream target = compressed == null ? out : compressed;
      for (int i = 0; i < 40; i++) {
        String line = "{\"id\": " + i + ", \"text\": \"caf\u00e9 " + i * part + "\"}\n";
        target.write(line.getBytes(StandardCharsets.UTF_8));
      }
      if (compressed != null) {
        compressed.close();
      }
    }
    return out.toByteArray();
  }

  private void damage(String name, boolean checksummed) throws Exception {
    Random random = new Random(SEED);
    Path file = folder.resolve(name);
    byte[] original = content(name);
    Files.write(file, original);
    List<String> expected = read(file);
    assertEquals(120, expected.size());
    int named = 0;
    for (int i = 0; i < 350; i++) {
      byte[] bytes = original.clone();
      int place = random.nextInt(bytes.length);
      switch (random.nextInt(6)) {
        // A line that never ends, text that is no UTF-8, another file, no file to speak of.
        case 3 -> bytes = absurd(bytes, place, random);
        case 4 -> Arrays.fill(bytes, place, Math.min(bytes.length, place + 3), (byte) 0xff);
        case 5 -> bytes = random.nextBoolean() ? new byte[0] : content(other(name));
        case 0 -> bytes[place] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes = Arrays.copyOf(bytes, place);
        default -> bytes[place] = (byte) random.nextInt(256);
      }
      Files.write(file, bytes);
      String what = name + ", seed " + SEED + ", damage " + i + " at " + place;
      try {
        List<String> read = read(file);
        // A file that ends between two members, or was not changed, cannot be told from a whole
        // one.
        boolean prefix = expected.subList(0, read.size()).equals(read) && read.size() % 40 == 0;
        assertTrue(!checksummed || prefix, what);
      } catch (UserException e) {
        assertEquals(1, e.getMessage().lines().count(), what + ": " + e.getMessage());
        assertTrue(e.getMessage().contains(name), what + ": " + e.getMessage());
        named++;
      }
    }
    assertTrue(named > (checksummed ? 300 : 30), name + ": only " + named + " were named");
  }

  private static byte[] absurd(byte[] bytes, int place, Random random) {
    byte[] longer = Arrays.copyOf(bytes, bytes.length + 100_000);
    System.arraycopy(bytes, place, longer, place + 100_000, bytes.length - place);
    Arrays.fill(longer, place, place + 100_000, (byte) ('!' + random.nextInt(90)));
    return longer;
  }

  private static String other(String name) {
    return name.endsWith(".gz") ? "b.jsonl.zst" : name.endsWith(".zst") ? "b.jsonl" : "b.jsonl.gz";
  }

  @Test
  void plainLines() throws Exception {
    damage("a.jsonl", false);
  }

  @Test
  void gzip() throws Exception {
    damage("a.jsonl.gz", true);
  }

  @Test
  void zstd() throws Exception {
    damage("a.jsonl.zst", true);
  }
}
