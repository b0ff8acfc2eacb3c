package org.pretrain4j.data.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.apache.arrow.compression.CommonsCompressionFactory;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.IntVector;
import org.apache.arrow.vector.VarCharVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.compression.CompressionUtil;
import org.apache.arrow.vector.compression.NoCompressionCodec;
import org.apache.arrow.vector.ipc.ArrowFileWriter;
import org.apache.arrow.vector.ipc.ArrowStreamWriter;
import org.apache.arrow.vector.ipc.message.IpcOption;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroupFactory;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;

class ColumnTextTest {
  private static final long SEED = Long.getLong("seed", 3);

  @TempDir Path folder;

  private static List<String> texts(int n) {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      texts.add("text " + i + " caf\u00e9 " + "x".repeat(i % 50));
    }
    return texts;
  }

  private List<String> read(Path file, TextFormat format, String column) throws Exception {
    List<String> texts = new ArrayList<>();
    for (DocumentInput input :
        TextInputs.find(Fixtures.STORAGE, List.of(file.toString()), format, column)) {
      try (DocumentReader reader = input.open()) {
        for (Document document = reader.next(); document != null; document = reader.next()) {
          texts.add(document.text());
        }
        assertEquals(input.bytes(), reader.bytesRead());
      }
    }
    return texts;
  }

  private Path parquet(CompressionCodecName codec, List<byte[]> texts) throws Exception {
    MessageType schema =
        MessageTypeParser.parseMessageType(
            "message m { required int64 id; optional binary content (UTF8); }");
    Path file = folder.resolve(codec + ".parquet");
    Files.deleteIfExists(file);
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new org.apache.hadoop.fs.Path(file.toUri()))
            .withConf(new Configuration())
            .withType(schema)
            .withCompressionCodec(codec)
            .withRowGroupSize(4096L)
            .withPageSize(1024)
            .build()) {
      SimpleGroupFactory groups = new SimpleGroupFactory(schema);
      for (byte[] text : texts) {
        Group group = groups.newGroup().append("id", 7L);
        if (text != null) {
          group.append("content", Binary.fromConstantByteArray(text));
        }
        writer.write(group);
      }
    }
    Files.deleteIfExists(folder.resolve("." + codec + ".parquet.crc"));
    return file;
  }

  private static List<byte[]> bytes(List<String> texts) {
    return texts.stream().map(text -> text.getBytes(StandardCharsets.UTF_8)).toList();
  }

  @Test
  void parquetInEveryUsualCompression() throws Exception {
    List<String> texts = texts(500);
    for (CompressionCodecName codec :
        List.of(
            CompressionCodecName.UNCOMPRESSED,
            CompressionCodecName.SNAPPY,
            CompressionCodecName.GZIP,
            CompressionCodecName.ZSTD)) {
      Path file = parquet(codec, bytes(texts));
      assertEquals(texts, read(file, TextFormat.PARQUET, "content"), codec.name());
    }
  }

  @Test
  void parquetWithoutTextIsNamed() throws Exception {
    List<byte[]> texts = new ArrayList<>(bytes(List.of("a", "")));
    texts.add(null);
    texts.add("b".getBytes(StandardCharsets.UTF_8));
    Path file = parquet(CompressionCodecName.ZSTD, texts);
    assertEquals(List.of("a", "b"), read(file, TextFormat.PARQUET, "content"));
    assertMessage(file, TextFormat.PARQUET, "text", "no column 'text'; it has [id, content]");
    assertMessage(file, TextFormat.PARQUET, "id", "is not text");
    Path bad = parquet(CompressionCodecName.GZIP, List.of(new byte[] {'a', (byte) 0xff}));
    assertMessage(bad, TextFormat.PARQUET, "content", "row 0: not UTF-8 at byte 1");
    Files.writeString(file, "PAR1 nothing PAR1");
    assertMessage(file, TextFormat.PARQUET, "content", "cannot be read as Parquet");
  }

  @Test
  void damagedParquetIsNamedOrHarmless() throws Exception {
    Random random = new Random(SEED);
    List<String> texts = texts(300);
    // The same file with one text that is no UTF-8, and a file of another format under its name.
    List<byte[]> spoilt = new ArrayList<>(bytes(texts));
    spoilt.set(200, new byte[] {'x', (byte) 0xc3, 'y'});
    byte[] notUtf8 = Files.readAllBytes(parquet(CompressionCodecName.SNAPPY, spoilt));
    byte[] swapped = Files.readAllBytes(arrow(texts, true));
    Path file = parquet(CompressionCodecName.SNAPPY, bytes(texts));
    byte[] original = Files.readAllBytes(file);
    int named = 0;
    int damages = Integer.getInteger("damages", 250);
    for (int i = 0; i < damages; i++) {
      byte[] bytes = original.clone();
      int place = random.nextInt(bytes.length);
      switch (random.nextInt(8)) {
        case 0, 1 -> bytes = Arrays.copyOf(bytes, place);
        case 2 -> bytes = random.nextBoolean() ? swapped : new byte[0];
        case 3 -> bytes = notUtf8;
        case 4 -> Arrays.fill(bytes, place, Math.min(place + 8, bytes.length), (byte) 0x7f);
        default -> bytes[place] ^= (byte) (1 << random.nextInt(8));
      }
      Files.write(file, bytes);
      String what = "seed " + SEED + ", damage " + i + " at " + place + " of " + original.length;
      try {
        assertEquals(texts, read(file, TextFormat.PARQUET, "content"), what);
      } catch (UserException e) {
        assertEquals(1, e.getMessage().lines().count(), what + e.getMessage());
        named++;
      }
    }
    assertTrue(named > damages / 2, "only " + named + " were named");
  }

  private Path arrow(List<String> texts, boolean compressed) throws Exception {
    Path file = folder.resolve("a.arrow");
    try (BufferAllocator allocator = new RootAllocator();
        VarCharVector text = new VarCharVector("content", allocator);
        IntVector id = new IntVector("id", allocator);
        VectorSchemaRoot root = VectorSchemaRoot.of(id, text);
        FileOutputStream out = new FileOutputStream(file.toFile());
        ArrowFileWriter writer =
            new ArrowFileWriter(
                root,
                null,
                out.getChannel(),
                null,
                IpcOption.DEFAULT,
                compressed
                    ? CommonsCompressionFactory.INSTANCE
                    : NoCompressionCodec.Factory.INSTANCE,
                compressed
                    ? CompressionUtil.CodecType.ZSTD
                    : CompressionUtil.CodecType.NO_COMPRESSION,
                Optional.empty())) {
      for (int from = 0; from < texts.size(); from += 100) {
        int rows = Math.min(100, texts.size() - from);
        text.allocateNew();
        id.allocateNew(rows);
        for (int i = 0; i < rows; i++) {
          id.setSafe(i, i);
          if (texts.get(from + i) != null) {
            text.setSafe(i, texts.get(from + i).getBytes(StandardCharsets.UTF_8));
          }
        }
        root.setRowCount(rows);
        writer.writeBatch();
      }
      writer.end();
    }
    return file;
  }

  @Test
  void arrowFilesCompressedOrNot() throws Exception {
    List<String> texts = new ArrayList<>(texts(250));
    List<String> expected = List.copyOf(texts);
    texts.add(120, null);
    texts.add(3, "");
    for (boolean compressed : new boolean[] {false, true}) {
      assertEquals(expected, read(arrow(texts, compressed), TextFormat.ARROW, "content"));
    }
    Path file = folder.resolve("a.arrow");
    assertMessage(file, TextFormat.ARROW, "id", "is not text");
    assertMessage(file, TextFormat.ARROW, "text", "no column 'text'");
    Files.writeString(file, "ARROW1 nothing ARROW1");
    assertMessage(file, TextFormat.ARROW, "content", "cannot be read as an Arrow file");
  }

  /** As Hugging Face's datasets write them. */
  private Path arrowStream(List<String> texts, boolean compressed) throws Exception {
    Path file = folder.resolve("s.arrow");
    try (BufferAllocator allocator = new RootAllocator();
        VarCharVector text = new VarCharVector("content", allocator);
        VectorSchemaRoot root = VectorSchemaRoot.of(text);
        FileOutputStream out = new FileOutputStream(file.toFile());
        ArrowStreamWriter writer =
            new ArrowStreamWriter(
                root,
                null,
                out.getChannel(),
                IpcOption.DEFAULT,
                compressed
                    ? CommonsCompressionFactory.INSTANCE
                    : NoCompressionCodec.Factory.INSTANCE,
                compressed
                    ? CompressionUtil.CodecType.ZSTD
                    : CompressionUtil.CodecType.NO_COMPRESSION,
                Optional.empty())) {
      for (int from = 0; from < texts.size(); from += 50) {
        int rows = Math.min(50, texts.size() - from);
        text.allocateNew();
        for (int i = 0; i < rows; i++) {
          text.setSafe(i, texts.get(from + i).getBytes(StandardCharsets.UTF_8));
        }
        root.setRowCount(rows);
        writer.writeBatch();
      }
      writer.end();
    }
    return file;
  }

  @Test
  void arrowStreamsAreReadAndOneThatWasCutIsNamed() throws Exception {
    List<String> texts = texts(230);
    for (boolean compressed : new boolean[] {false, true}) {
      Path file = arrowStream(texts, compressed);
      assertEquals(texts, read(file, TextFormat.ARROW, "content"));
      byte[] whole = Files.readAllBytes(file);
      for (int length = 0; length < whole.length; length += 8 + length / 400 * 8) {
        Files.write(file, Arrays.copyOf(whole, length));
        assertMessage(file, TextFormat.ARROW, "content", "cannot be read");
      }
      // Two streams in one file: what comes after the first may not be lost.
      byte[] twice = Arrays.copyOf(whole, 2 * whole.length);
      System.arraycopy(whole, 0, twice, whole.length, whole.length);
      Files.write(file, twice);
      assertMessage(file, TextFormat.ARROW, "content", "ends at byte " + whole.length);
    }
    Files.writeString(folder.resolve("s.arrow"), "");
    assertMessage(folder.resolve("s.arrow"), TextFormat.ARROW, "content", "cannot be read");
  }

  /** Arrow has no checksums: what is read may differ, but a failure is one line with the file. */
  @Test
  void damagedArrowIsNamedOrReadAsText() throws Exception {
    Random random = new Random(SEED);
    int damages = Integer.getInteger("damages", 60);
    for (boolean compressed : new boolean[] {false, true}) {
      for (Path file :
          List.of(arrow(texts(250), compressed), arrowStream(texts(250), compressed))) {
        byte[] original = Files.readAllBytes(file);
        int named = 0;
        for (int i = 0; i < damages; i++) {
          byte[] bytes = original.clone();
          // Half of them where the lengths are: at the beginning and in the footer.
          int place = random.nextInt(bytes.length);
          if (random.nextBoolean()) {
            int near = random.nextInt(600);
            place = random.nextBoolean() ? near : bytes.length - 1 - near;
          }
          switch (random.nextInt(5)) {
            case 0 -> bytes = Arrays.copyOf(bytes, place);
            case 1 -> Arrays.fill(bytes, place, Math.min(place + 8, bytes.length), (byte) 0x7f);
            case 2 -> bytes[place] = 0x7f;
            default -> bytes[place] ^= (byte) (1 << random.nextInt(8));
          }
          Files.write(file, bytes);
          String what = file.getFileName() + ", seed " + SEED + ", damage " + i + " at " + place;
          try {
            read(file, TextFormat.ARROW, "content");
          } catch (UserException e) {
            assertEquals(1, e.getMessage().lines().count(), what + ": " + e.getMessage());
            assertTrue(e.getMessage().contains(file.toString()), what + ": " + e.getMessage());
            named++;
          } catch (RuntimeException | Error e) {
            throw new AssertionError(what, e);
          }
        }
        assertTrue(named > damages / 4, file + ": only " + named + " were named");
      }
    }
  }

  private void assertMessage(Path file, TextFormat format, String column, String part) {
    String message =
        assertThrows(UserException.class, () -> read(file, format, column)).getMessage();
    assertTrue(message.contains(part), message);
    assertEquals(1, message.lines().count(), message);
  }
}
