package org.pretrain4j.checkpoints.safetensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.UserException;

class SafetensorsTest {
  @TempDir java.nio.file.Path folder;
  private DurableFileSystem files;
  private Path path;

  @BeforeEach
  void open() throws IOException {
    files = DurableFileSystem.of(FileSystem.getLocal(new Configuration()));
    path = new Path(folder.resolve("model.safetensors").toUri());
  }

  @Test
  void writtenTensorsAreReadBack() throws IOException {
    List<TensorSpec> tensors =
        List.of(
            new TensorSpec("b", DType.BF16, List.of(3L, 5L)),
            new TensorSpec("a", DType.F32, List.of()),
            new TensorSpec("empty", DType.I64, List.of(0L, 7L)));
    byte[] data = new byte[34];
    for (int i = 0; i < data.length; i++) {
      data[i] = (byte) (3 * i + 1);
    }
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(files, path, tensors, Map.of("format", "pt"))) {
      assertEquals(0, writer.dataStart() % 8);
      writer.write(MemorySegment.ofArray(data).asSlice(0, 20));
      writer.write(MemorySegment.ofArray(data).asSlice(20, 14));
      assertThrows(
          IllegalStateException.class, () -> writer.write(MemorySegment.ofArray(new byte[1])));
      assertEquals(writer.dataStart() + 34, writer.finish().bytes());
    }
    assertFalse(Files.exists(folder.resolve(".model.safetensors.crc")));
    try (SafetensorsFile file = SafetensorsFile.open(files, path)) {
      assertEquals(tensors, List.copyOf(file.tensors().values()));
      assertEquals(Map.of("format", "pt"), file.metadata());
      byte[] part = new byte[4];
      file.read("b", 26, MemorySegment.ofArray(part));
      assertArrayEquals(new byte[] {data[26], data[27], data[28], data[29]}, part);
      file.read("a", 0, MemorySegment.ofArray(part));
      assertArrayEquals(new byte[] {data[30], data[31], data[32], data[33]}, part);
      assertThrows(
          IllegalArgumentException.class, () -> file.read("a", 1, MemorySegment.ofArray(part)));
    }
  }

  @Test
  void aFileOfTheReferenceImplementationIsRead() throws IOException {
    String json =
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
            + "\"__metadata__\":{\"format\":\"pt\"}}   ";
    write(json, new byte[] {0, 0, (byte) 0x80, 0x3f, 0, 0, 0, (byte) 0xc0});
    try (SafetensorsFile file = SafetensorsFile.open(files, path)) {
      float[] values = new float[2];
      file.read("x", 0, MemorySegment.ofArray(values));
      assertArrayEquals(new float[] {1, -2}, values);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {'x':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}          | header
          ['x']                                                          | JSON object
          {'x':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'x':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} | Duplicate
          {'x':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} {}      | header
          {'x':{'dtype':'F33','shape':[2],'data_offsets':[0,8]}}         | tensor x has the unknown dtype
          {'x':{'dtype':'F32','shape':[3],'data_offsets':[0,8]}}         | tensor x of shape [3]
          {'x':{'dtype':'F32','shape':[3],'data_offsets':[0,12]}}        | tensor x ends at byte 12
          {'x':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]}}        | tensor x has the impossible size -2
          {'x':{'dtype':'F32','shape':[2.0],'data_offsets':[0,8]}}       | tensor x has the impossible size 2.0
          {'x':{'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,8]}} | tensor x has the absurd shape
          {'x':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}}         | tensor x has the impossible data_offsets
          {'x':{'dtype':'F32','shape':[2]}}                              | tensor x must have exactly
          {'x':7}                                                        | tensor x must have exactly
          {'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}}         | 8 bytes of data where its header describes 4
          {'x':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}}         | tensor x leaves a hole
          {'x':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'y':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}} | tensor y overlaps with x
          {'__metadata__':{'a':1},'x':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} | metadata a is no text
          """)
  void anInconsistentHeaderIsRefusedInOneLine(String json, String complaint) throws IOException {
    write(json.replace('\'', '"'), new byte[8]);
    assertRefused(complaint);
  }

  @Test
  void aHeaderThatClaimsMoreThanTheFileHasIsRefused() throws IOException {
    for (long claim : new long[] {0, 1, 99, Long.MAX_VALUE, -1, 1L << 62}) {
      ByteBuffer content = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN).putLong(claim);
      Files.write(folder.resolve("model.safetensors"), content.array());
      assertRefused("claims " + Long.toUnsignedString(claim) + " bytes");
    }
    Files.write(folder.resolve("model.safetensors"), new byte[7]);
    assertRefused("only 7 bytes");
  }

  private void assertRefused(String complaint) {
    UserException refused =
        assertThrows(UserException.class, () -> SafetensorsFile.open(files, path).close());
    assertTrue(refused.getMessage().contains(complaint), refused.getMessage());
    assertTrue(refused.getMessage().contains("model.safetensors"), refused.getMessage());
    assertEquals(1, refused.getMessage().lines().count(), refused.getMessage());
  }

  private void write(String json, byte[] data) throws IOException {
    byte[] text = json.getBytes(StandardCharsets.UTF_8);
    ByteBuffer content =
        ByteBuffer.allocate(8 + text.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    content.putLong(text.length).put(text).put(data);
    Files.write(folder.resolve("model.safetensors"), content.array());
  }
}
