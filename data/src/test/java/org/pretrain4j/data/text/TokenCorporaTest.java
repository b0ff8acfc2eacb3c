package org.pretrain4j.data.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.Sequence;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;

class TokenCorporaTest {
  private static final int END = 257;
  private static final List<int[]> DOCUMENTS =
      List.of(new int[] {5, 6, 7, END}, new int[] {END}, new int[] {1, 2, 3, 4, 255, END});

  @TempDir Path folder;

  private static byte[] littleEndian(int width, long... values) {
    ByteBuffer buffer = ByteBuffer.allocate(width * values.length).order(ByteOrder.LITTLE_ENDIAN);
    for (long value : values) {
      switch (width) {
        case 1 -> buffer.put((byte) value);
        case 2 -> buffer.putShort((short) value);
        case 4 -> buffer.putInt((int) value);
        default -> buffer.putLong(value);
      }
    }
    return buffer.array();
  }

  private static byte[] tokens(int width) {
    return littleEndian(
        width, DOCUMENTS.stream().flatMapToInt(Arrays::stream).asLongStream().toArray());
  }

  private static byte[] concatenate(byte[]... parts) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      out.write(part);
    }
    return out.toByteArray();
  }

  private List<DocumentInput> find(String file, TextFormat format) throws Exception {
    return TextInputs.find(
        Fixtures.STORAGE, List.of(folder.resolve(file).toString()), format, "text");
  }

  private List<int[]> read(String file, TextFormat format) throws Exception {
    List<int[]> documents = new ArrayList<>();
    for (DocumentInput input : find(file, format)) {
      try (DocumentReader reader = input.open()) {
        for (Document d = reader.next(); d != null; d = reader.next()) {
          documents.add(d.tokens());
        }
      }
    }
    return documents;
  }

  private void datatrove(int width) throws Exception {
    Files.write(folder.resolve("a.ds"), tokens(width));
    Files.write(folder.resolve("a.ds.index"), littleEndian(8, 4, 5, 11));
  }

  private void megatron(int type, int width) throws Exception {
    megatron(type, width, new byte[0]);
  }

  private void megatron(int type, int width, byte[] behind) throws Exception {
    Files.write(folder.resolve("a.bin"), tokens(width));
    Files.write(
        folder.resolve("a.idx"),
        concatenate(
            "MMIDIDX\0\0".getBytes(StandardCharsets.ISO_8859_1),
            littleEndian(8, 1),
            littleEndian(1, type),
            littleEndian(8, 3),
            littleEndian(8, 3),
            littleEndian(4, 4, 1, 6),
            littleEndian(8, 0, 4L * width, 5L * width),
            littleEndian(8, 0, 1, 3),
            behind));
  }

  private static void assertDocuments(List<int[]> expected, List<int[]> actual) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i));
    }
  }

  @Test
  void datatroveInTwoAndFourBytes() throws Exception {
    for (int width : new int[] {2, 4}) {
      datatrove(width);
      assertDocuments(DOCUMENTS, read("a.ds", TextFormat.DATATROVE));
    }
  }

  @Test
  void megatronDocumentsOfSeveralSequencesInAllWidths() throws Exception {
    List<int[]> expected = List.of(DOCUMENTS.get(0), new int[] {END, 1, 2, 3, 4, 255, END});
    for (int[] type : new int[][] {{8, 2}, {4, 4}, {5, 8}}) {
      megatron(type[0], type[1]);
      assertDocuments(expected, read("a.idx", TextFormat.MEGATRON));
    }
  }

  @Test
  void tokensGoIntoShardsAsTheyAre() throws Exception {
    datatrove(2);
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      org.apache.hadoop.fs.Path output = Fixtures.hadoop(folder.resolve("shards"));
      new TokenizeJob(
              Fixtures.STORAGE,
              tokenizer,
              find("a.ds", TextFormat.DATATROVE),
              output,
              TokenizeOptions.defaults(),
              PreparationListener.NONE)
          .run();
      ShardedDataset dataset =
          ShardedDataset.open(
              Fixtures.STORAGE, output, tokenizer.identity(), new BlockCache(1 << 20));
      int[] all = dataset.cursor(10).read(0).tokens();
      assertArrayEquals(DOCUMENTS.stream().flatMapToInt(Arrays::stream).toArray(), all);
    }
  }

  /** As the reference run read its files: a document is what stands before an end of document. */
  @Test
  void everyEndOfDocumentEndsOneWhereverItStands() throws Exception {
    // One document by the index, with three ends in it and none at its end.
    Files.write(folder.resolve("a.ds"), littleEndian(2, 1, 2, END, END, 3, END, 4, 5));
    Files.write(folder.resolve("a.ds.index"), littleEndian(8, 8));
    megatron(8, 2);
    assertShards("a.ds", TextFormat.DATATROVE, 4, new int[] {1, 2, END, END, 3, END, 4, 5, END});
    assertShards(
        "a.idx", TextFormat.MEGATRON, 3, DOCUMENTS.stream().flatMapToInt(Arrays::stream).toArray());
  }

  private void assertShards(String file, TextFormat format, int documents, int[] tokens)
      throws Exception {
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      org.apache.hadoop.fs.Path output = Fixtures.hadoop(folder.resolve("shards-" + file));
      Manifest manifest =
          new TokenizeJob(
                  Fixtures.STORAGE,
                  tokenizer,
                  find(file, format),
                  output,
                  TokenizeOptions.defaults(),
                  PreparationListener.NONE)
              .run();
      assertEquals(documents, manifest.documents());
      ShardedDataset dataset =
          ShardedDataset.open(
              Fixtures.STORAGE, output, tokenizer.identity(), new BlockCache(1 << 20));
      Sequence all = dataset.cursor(tokens.length - 1).read(0);
      assertArrayEquals(tokens, all.tokens());
      int[] starts = IntStream.range(1, tokens.length).filter(i -> tokens[i - 1] == END).toArray();
      assertArrayEquals(starts, all.documentStarts());
    }
  }

  @Test
  void tokensOutsideOfTheVocabularyAreNamed() throws Exception {
    Files.write(folder.resolve("a.ds"), littleEndian(2, 5, 300, END));
    Files.write(folder.resolve("a.ds.index"), littleEndian(8, 3));
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      TokenizeJob job =
          new TokenizeJob(
              Fixtures.STORAGE,
              tokenizer,
              find("a.ds", TextFormat.DATATROVE),
              Fixtures.hadoop(folder.resolve("shards")),
              TokenizeOptions.defaults(),
              PreparationListener.NONE);
      UserException e = assertThrows(UserException.class, job::run);
      assertTrue(e.getMessage().contains("a.ds document 0: token 300"), e.getMessage());
    }
  }

  @Test
  void damagedFilesAreNamed() throws Exception {
    datatrove(2);
    Files.write(folder.resolve("a.ds.index"), littleEndian(8, 4, 3, 11));
    assertMessage("a.ds", TextFormat.DATATROVE, "document 1: ends at token 3 after 4");
    Files.write(folder.resolve("a.ds.index"), littleEndian(8, 4, 5, 12));
    assertMessage("a.ds", TextFormat.DATATROVE, "do not hold the 12 tokens");
    Files.write(folder.resolve("a.ds.index"), new byte[5]);
    assertMessage("a.ds", TextFormat.DATATROVE, "5 bytes");
    Files.delete(folder.resolve("a.ds.index"));
    assertMessage("a.ds", TextFormat.DATATROVE, "does not exist");

    megatron(8, 2, new byte[3]);
    assertEquals(2, read("a.idx", TextFormat.MEGATRON).size(), "modes of its sequences");
    megatron(8, 2, new byte[2]);
    assertMessage("a.idx", TextFormat.MEGATRON, "96 bytes; expected version 1");
    megatron(8, 2);
    Files.write(folder.resolve("a.bin"), concatenate(tokens(2), new byte[2]));
    assertMessage("a.idx", TextFormat.MEGATRON, "take 22 bytes of 24 in its .bin");
    byte[] fewer = Files.readAllBytes(folder.resolve("a.idx"));
    fewer[fewer.length - 8] = 2;
    Files.write(folder.resolve("a.idx"), fewer);
    assertMessage("a.idx", TextFormat.MEGATRON, "end with sequence 2, but it has 3");

    megatron(8, 2);
    Files.write(folder.resolve("a.bin"), new byte[9]);
    assertMessage("a.idx", TextFormat.MEGATRON, "a.idx: sequence 2");
    byte[] idx = Files.readAllBytes(folder.resolve("a.idx"));
    idx[34] = 100;
    Files.write(folder.resolve("a.idx"), idx);
    assertMessage("a.idx", TextFormat.MEGATRON, "a.bin");
    idx[0] = 'X';
    Files.write(folder.resolve("a.idx"), idx);
    assertMessage("a.idx", TextFormat.MEGATRON, "is not the index");
  }

  private void assertMessage(String file, TextFormat format, String part) {
    String message = assertThrows(UserException.class, () -> read(file, format)).getMessage();
    assertTrue(message.contains(part), message);
    assertEquals(1, message.lines().count(), message);
  }
}
