package org.pretrain4j.data.tokens;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.Sequence;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.text.ArithmeticInput;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;

class TokenizeJobTest {
  private static Tokenizer tokenizer;

  @TempDir Path folder;

  @BeforeAll
  static void load() {
    tokenizer = Fixtures.bytesTokenizer();
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  private static final TokenizeOptions SMALL_SHARDS = new TokenizeOptions(20_000, 4096, 0, 1, 2);

  private Manifest run(String output, List<DocumentInput> inputs, TokenizeOptions options) {
    return new TokenizeJob(
            Fixtures.STORAGE,
            tokenizer,
            inputs,
            Fixtures.hadoop(folder.resolve(output)),
            options,
            PreparationListener.NONE)
        .run();
  }

  private static List<DocumentInput> arithmetic() {
    return List.of(new ArithmeticInput(400, 1), new ArithmeticInput(500, 2));
  }

  /** Names and contents of a folder's visible files. */
  private Map<String, String> contents(String output) throws IOException {
    Map<String, String> contents = new TreeMap<>();
    try (var files = Files.list(folder.resolve(output))) {
      for (Path file : files.toList()) {
        String name = file.getFileName().toString();
        assertTrue(!name.endsWith(".tmp"), name);
        if (!name.startsWith(".")) {
          contents.put(
              name,
              new String(Files.readAllBytes(file), java.nio.charset.StandardCharsets.ISO_8859_1));
        }
      }
    }
    return contents;
  }

  @Test
  void shardsHoldTheDocumentsInOrder() throws Exception {
    Manifest manifest = run("a", arithmetic(), SMALL_SHARDS);
    assertEquals(900, manifest.documents());
    assertTrue(manifest.shards().size() > 4);
    StringBuilder expected = new StringBuilder();
    for (DocumentInput input : arithmetic()) {
      try (DocumentReader reader = input.open()) {
        for (Document d = reader.next(); d != null; d = reader.next()) {
          expected.append(d.text()).append("<|end_of_text|>");
        }
      }
    }
    assertEquals(expected.length() - 900L * ("<|end_of_text|>".length() - 1), manifest.tokens());
    ShardedDataset dataset =
        ShardedDataset.open(
            Fixtures.STORAGE,
            Fixtures.hadoop(folder.resolve("a")),
            tokenizer.identity(),
            new BlockCache(1 << 20));
    Sequence first = dataset.windows("x", 100, 0).read(0);
    assertTrue(expected.toString().contains(tokenizer.decode(first.tokens())));
    dataset.verify();
  }

  @Test
  void anyNumberOfThreadsGivesTheSameBytes() throws Exception {
    run("a", arithmetic(), SMALL_SHARDS.withThreads(1));
    run("b", arithmetic(), SMALL_SHARDS.withThreads(4));
    assertEquals(contents("a"), contents("b"));
  }

  /** Fails after a number of documents have been read from all inputs together. */
  private static List<DocumentInput> failing(List<DocumentInput> inputs, int documents) {
    int[] left = {documents};
    List<DocumentInput> failing = new ArrayList<>();
    for (DocumentInput input : inputs) {
      failing.add(new FailingInput(input, left));
    }
    return failing;
  }

  private record FailingInput(DocumentInput input, int[] left) implements DocumentInput {
    @Override
    public String name() {
      return input.name();
    }

    @Override
    public long bytes() {
      return input.bytes();
    }

    @Override
    public String identity() {
      return input.identity();
    }

    @Override
    public DocumentReader open() throws IOException {
      DocumentReader reader = input.open();
      return new DocumentReader() {
        @Override
        public Document next() throws IOException {
          if (left[0]-- == 0) {
            throw new IOException("power failure");
          }
          return reader.next();
        }

        @Override
        public long bytesRead() {
          return reader.bytesRead();
        }

        @Override
        public void close() throws IOException {
          reader.close();
        }
      };
    }
  }

  @Test
  void aFailedJobGoesOnWithTheSameBytes() throws Exception {
    run("whole", arithmetic(), SMALL_SHARDS);
    for (int documents : new int[] {0, 10, 300, 401, 650, 890}) {
      List<DocumentInput> inputs = failing(arithmetic(), documents);
      String output = "resumed" + documents;
      assertThrows(UserException.class, () -> run(output, inputs, SMALL_SHARDS));
      run(output, arithmetic(), SMALL_SHARDS);
      assertEquals(contents("whole"), contents(output), "failed after " + documents);
    }
  }

  @Test
  void aFinishedJobIsNotRepeatedAndAnotherIsRefused() throws Exception {
    Manifest first = run("a", arithmetic(), SMALL_SHARDS);
    assertEquals(first, run("a", arithmetic(), SMALL_SHARDS.withThreads(1)));
    UserException e =
        assertThrows(
            UserException.class, () -> run("a", List.of(new ArithmeticInput(10, 3)), SMALL_SHARDS));
    assertTrue(e.getMessage().contains("already holds"), e.getMessage());
  }

  @Test
  void emptyTextIsAnError() throws Exception {
    Files.writeString(folder.resolve("empty.txt"), "");
    List<DocumentInput> inputs =
        TextInputs.find(
            Fixtures.STORAGE,
            List.of(folder.resolve("empty.txt").toString()),
            TextFormat.TEXT,
            "text");
    UserException e = assertThrows(UserException.class, () -> run("a", inputs, SMALL_SHARDS));
    assertTrue(e.getMessage().contains("no text in"), e.getMessage());
  }

  @Test
  void progressReachesTheEnd() {
    List<Progress> heard = new ArrayList<>();
    new TokenizeJob(
            Fixtures.STORAGE,
            tokenizer,
            arithmetic(),
            Fixtures.hadoop(folder.resolve("a")),
            SMALL_SHARDS,
            new PreparationListener() {
              @Override
              public void progress(Progress progress) {
                heard.add(progress);
              }
            })
        .run();
    Progress last = heard.getLast();
    assertEquals(900, last.documents());
    assertEquals(last.totalInputBytes(), last.inputBytes());
    assertEquals(0, last.secondsLeft(), 1e-9);
  }
}
