package org.pretrain4j.data.shards;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.Fixtures;

/** Random damage is named, or changes no token. */
class CorruptionTest {
  private static final long SEED = Long.getLong("seed", 20_25);
  private static final int LENGTH = 15;
  private static final ReadPolicy ONCE = new ReadPolicy(1, Duration.ZERO, Optional.empty());

  @TempDir Path folder;

  private final List<Path> files = new ArrayList<>();
  private List<byte[]> originals;
  private List<byte[]> otherTokenizer;
  private List<int[]> expected;

  @BeforeEach
  void dataset() throws Exception {
    Random random = new Random(SEED);
    List<List<int[]>> shards = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      shards.add(Fixtures.documents(random, Fixtures.SMALL, 30, 40));
    }
    for (int i = 0; i < 3; i++) {
      files.add(folder.resolve("shard-" + i + ".arrow"));
    }
    files.add(folder.resolve(Manifest.FILE));
    Fixtures.write(
        folder,
        new TokenizerIdentity(
            "sha256:" + "7".repeat(64), Fixtures.SMALL.vocabSize(), Fixtures.SMALL.endOfDocument()),
        200,
        shards);
    otherTokenizer = contents();
    Fixtures.write(folder, Fixtures.SMALL, 200, shards);
    originals = contents();
    expected = readAll();
  }

  private List<byte[]> contents() throws Exception {
    List<byte[]> contents = new ArrayList<>();
    for (Path file : files) {
      contents.add(Files.readAllBytes(file));
    }
    return contents;
  }

  private ShardedDataset open() {
    return ShardedDataset.open(
        Fixtures.STORAGE, Fixtures.hadoop(folder), Fixtures.SMALL, new BlockCache(1 << 20), ONCE);
  }

  private List<int[]> readAll() {
    SequenceWindows windows = open().windows("x", LENGTH, 1);
    List<int[]> all = new ArrayList<>();
    for (long i = 0; i < windows.perEpoch(); i++) {
      all.add(windows.read(i).tokens());
    }
    return all;
  }

  private void restore() throws Exception {
    for (int i = 0; i < files.size(); i++) {
      Files.write(files.get(i), originals.get(i));
    }
  }

  private String damage(Random random) throws Exception {
    int target = random.nextInt(files.size());
    Path file = files.get(target);
    byte[] bytes = originals.get(target).clone();
    String name = file.getFileName().toString();
    switch (random.nextInt(8)) {
      case 0, 1 -> {
        int bit = random.nextInt(8 * bytes.length);
        bytes[bit / 8] ^= (byte) (1 << bit % 8);
        Files.write(file, bytes);
        return name + ": bit " + bit + " flipped";
      }
      case 2 -> {
        int length = random.nextInt(bytes.length);
        Files.write(file, Arrays.copyOf(bytes, length));
        return name + ": cut to " + length;
      }
      case 3 -> {
        int from = random.nextInt(bytes.length);
        int length = Math.min(bytes.length - from, 1 + random.nextInt(500));
        byte[] noise = new byte[length];
        random.nextBytes(noise);
        System.arraycopy(noise, 0, bytes, from, length);
        Files.write(file, bytes);
        return name + ": noise at " + from;
      }
      case 4 -> {
        Path other = files.get(random.nextInt(files.size()));
        if (!other.equals(file)) {
          Files.copy(other, file, StandardCopyOption.REPLACE_EXISTING);
        }
        return name + ": is " + other.getFileName();
      }
      case 5 -> {
        Files.write(file, random.nextBoolean() ? new byte[0] : new byte[bytes.length]);
        return name + ": emptied or zeroed";
      }
      case 6 -> {
        byte[] other = otherTokenizer.get(target);
        Files.write(file, other);
        return name + ": of another tokenizer";
      }
      default -> {
        Files.write(file, bytes);
        Files.write(
            file, new byte[1 + random.nextInt(100)], java.nio.file.StandardOpenOption.APPEND);
        return name + ": longer";
      }
    }
  }

  @Test
  void aThousandRandomDamagesAreNamedOrHarmless() throws Exception {
    Random random = new Random(SEED);
    int named = 0;
    for (int i = 0; i < 1000; i++) {
      String what = "seed " + SEED + ", damage " + i + ", " + damage(random);
      List<int[]> read = null;
      try {
        read = readAll();
      } catch (ShardException e) {
        assertEquals(1, e.getMessage().lines().count(), what + ": " + e.getMessage());
        assertTrue(e.getMessage().contains(folder.getFileName().toString()), what + e.getMessage());
        named++;
      } catch (RuntimeException e) {
        throw new AssertionError(what, e);
      }
      if (read != null) {
        assertEquals(expected.size(), read.size(), what);
        for (int w = 0; w < read.size(); w++) {
          assertArrayEquals(expected.get(w), read.get(w), what);
        }
      }
      restore();
    }
    assertTrue(named > 800, "seed " + SEED + ": only " + named + " were named");
  }

  /** Checksums that were made over the damage let it through to the decoder. */
  @Test
  void damageWithMatchingChecksumsNeverCrashes() throws Exception {
    Random random = new Random(SEED);
    Manifest manifest = open().manifest();
    ShardEntry entry = manifest.shards().getFirst();
    Shard shard =
        Shard.open(
            Fixtures.STORAGE,
            Fixtures.hadoop(files.getFirst()),
            entry,
            Fixtures.SMALL,
            Optional.empty());
    BlockIndex index = shard.index();
    int refused = 0;
    for (int i = 0; i < 500; i++) {
      byte[] bytes = originals.getFirst().clone();
      int block = random.nextInt(index.size());
      int from = (int) index.block(block).getOffset();
      int length =
          (int) (index.block(block).getMetadataLength() + index.block(block).getBodyLength());
      for (int flips = 1 + random.nextInt(3); flips > 0; flips--) {
        bytes[from + random.nextInt(length)] = (byte) random.nextInt(256);
      }
      forge(bytes, entry, from, length, index.crc32c(block), manifest);
      try {
        readAll();
      } catch (ShardException e) {
        assertTrue(e.getMessage().contains("shard-0.arrow"), e.getMessage());
        refused++;
      } catch (RuntimeException e) {
        throw new AssertionError("seed " + SEED + ", damage " + i, e);
      }
      restore();
    }
    assertTrue(refused > 100, "seed " + SEED + ": only " + refused + " were refused");
  }

  private void forge(
      byte[] bytes, ShardEntry entry, int from, int length, int oldCrc, Manifest manifest)
      throws Exception {
    HexFormat hex = HexFormat.of();
    byte[] wanted = hex.toHexDigits(oldCrc).getBytes(StandardCharsets.US_ASCII);
    byte[] made = hex.toHexDigits(crc(bytes, from, length)).getBytes(StandardCharsets.US_ASCII);
    for (int at = (int) entry.footerOffset(); at + 8 <= bytes.length; at++) {
      if (Arrays.equals(bytes, at, at + 8, wanted, 0, 8)) {
        System.arraycopy(made, 0, bytes, at, 8);
      }
    }
    Files.write(files.getFirst(), bytes);
    int footer = (int) entry.footerOffset();
    ShardEntry forged =
        new ShardEntry(
            entry.name(),
            entry.bytes(),
            entry.documents(),
            entry.tokens(),
            hex.toHexDigits(crc(bytes, 0, bytes.length)),
            footer,
            hex.toHexDigits(crc(bytes, footer, bytes.length - footer)));
    List<ShardEntry> shards = new ArrayList<>(manifest.shards());
    shards.set(0, forged);
    ManifestFile.write(
        Fixtures.STORAGE,
        Fixtures.hadoop(folder.resolve(Manifest.FILE)),
        new Manifest(manifest.tokenizer(), shards));
  }

  private static int crc(byte[] bytes, int from, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, from, length);
    return (int) crc.getValue();
  }
}
