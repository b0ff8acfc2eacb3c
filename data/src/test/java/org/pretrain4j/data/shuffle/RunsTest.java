package org.pretrain4j.data.shuffle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;

class RunsTest {
  // More than an index is read at once.
  private static final int BUCKETS = 10_000;
  private static final int BYTES = 8;
  private static final long SEED = 4;

  @TempDir Path folder;
  private Path file;
  private final List<List<byte[]>> written = new ArrayList<>();

  @BeforeEach
  void write() throws IOException {
    Random random = new Random(SEED);
    file = folder.resolve("run");
    try (RunWriter writer = new RunWriter(Fixtures.STORAGE, Fixtures.hadoop(file), BUCKETS)) {
      for (int bucket = 0; bucket < BUCKETS; bucket++) {
        written.add(new ArrayList<>());
        for (int i = random.nextInt(4); i > 0; i--) {
          byte[] sequence = ByteBuffer.allocate(BYTES).putLong(random.nextLong()).array();
          written.getLast().add(sequence);
          writer.add(bucket, sequence);
        }
      }
      writer.finish();
    }
  }

  private List<List<byte[]>> read(int firstBucket) throws IOException {
    List<List<byte[]>> found = new ArrayList<>();
    try (RunReader reader =
        new RunReader(Fixtures.STORAGE, Fixtures.hadoop(file), BYTES, BUCKETS, firstBucket)) {
      for (int bucket = firstBucket; bucket < BUCKETS; bucket++) {
        List<byte[]> sequences = new ArrayList<>();
        reader.next(sequences::add);
        found.add(sequences);
      }
    }
    return found;
  }

  private void assertWritten(int firstBucket, List<List<byte[]>> found) {
    for (int i = 0; i < found.size(); i++) {
      assertArrayEquals(
          written.get(firstBucket + i).toArray(), found.get(i).toArray(), "bucket " + i);
    }
  }

  @Test
  void bucketsAreReadFromAnyOneOn() throws IOException {
    for (int first : new int[] {0, 1, 4095, 4096, 5000, BUCKETS - 1}) {
      List<List<byte[]>> found = read(first);
      assertEquals(BUCKETS - first, found.size());
      assertWritten(first, found);
    }
  }

  @Test
  void damageIsNamedOrHarmless() throws IOException {
    byte[] whole = Files.readAllBytes(file);
    Random random = new Random(SEED);
    int named = 0;
    for (int i = 0; i < 200; i++) {
      byte[] damaged = whole.clone();
      damaged[random.nextInt(whole.length)] ^= (byte) (1 << random.nextInt(8));
      Files.write(file, damaged);
      int first = i % 2 == 0 ? 0 : random.nextInt(BUCKETS);
      try {
        assertWritten(first, read(first));
      } catch (UserException e) {
        assertTrue(e.getMessage().contains(file + ": is damaged"), e.getMessage());
        named++;
      }
    }
    assertTrue(named > 130, named + " named, seed " + SEED);
    Files.write(file, java.util.Arrays.copyOf(whole, whole.length - 1));
    assertThrows(UserException.class, () -> read(0));
  }
}
