package org.pretrain4j.s3;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.ReadPolicy;
import org.pretrain4j.data.shards.SequenceCursor;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.storage.AtomicFile;
import org.pretrain4j.data.storage.LocalCache;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.ArithmeticInput;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;

@Tag("slow")
class S3Test {
  private static final Storage LOCAL = new Storage(new Configuration());

  @TempDir static Path shared;

  private static S3Server server;

  @TempDir Path folder;

  // One for all tests: Hadoop keeps the client of the first.
  @BeforeAll
  static void start() throws Exception {
    server = new S3Server(shared);
  }

  @AfterAll
  static void stop() throws Exception {
    server.close();
  }

  private static Tokenizer tokenizer() {
    return Tokenizer.load(LOCAL, "../configs/tokenizers/bytes/tokenizer.json", "<|end_of_text|>");
  }

  private static ShardedDataset tokenize(
      Storage storage, org.apache.hadoop.fs.Path output, ReadPolicy policy) {
    try (Tokenizer tokenizer = tokenizer()) {
      new TokenizeJob(
              storage,
              tokenizer,
              List.of(new ArithmeticInput(300, 1)),
              output,
              new TokenizeOptions(20_000, 2048, 0, 1, 2),
              PreparationListener.NONE)
          .run();
      return ShardedDataset.open(storage, output, tokenizer.identity(), new BlockCache(1), policy);
    }
  }

  private static List<String> read(ShardedDataset dataset) {
    SequenceCursor cursor = dataset.cursor(100);
    List<String> all = new ArrayList<>();
    for (long i = 0; i < cursor.size(); i++) {
      all.add(Arrays.toString(cursor.read(i).tokens()));
    }
    return all;
  }

  @Test
  void theSameTokensFromS3AsFromAFile() throws Exception {
    try (LocalCache cache = new LocalCache(folder.resolve("cache"), 4 << 20)) {
      Storage s3 = server.storage(shared);
      ReadPolicy policy = ReadPolicy.stop().withLocalCache(cache);
      ShardedDataset local =
          tokenize(LOCAL, LOCAL.path(folder.resolve("data").toString()), ReadPolicy.stop());
      ShardedDataset remote = tokenize(s3, s3.path("s3a://corpus/data"), policy);
      assertEquals(local.manifest(), remote.manifest());
      assertEquals(read(local), read(remote));
      assertEquals(read(local), read(remote));
      assertTrue(cache.hitRate() > 0.9, "hit rate " + cache.hitRate());

      s3.publish(s3.path("s3a://corpus/text/a/b.txt"), "b".getBytes(StandardCharsets.UTF_8));
      s3.publish(s3.path("s3a://corpus/text/c.txt"), "c".getBytes(StandardCharsets.UTF_8));
      assertEquals(
          2,
          TextInputs.find(s3, List.of("s3a://corpus/text/**/*.txt"), TextFormat.TEXT, "text")
              .size());
    }
  }

  /** So that a job that is killed at any time finds its journal, the old one or the new one. */
  @Test
  void anObjectThatIsReplacedIsThereAtAllTimesAndAnAbandonedOneLeavesNothing() throws Exception {
    Storage s3 = server.storage(shared);
    org.apache.hadoop.fs.Path journal = s3.path("s3a://corpus/job/tokenize.json");
    s3.publish(journal, new byte[] {0});
    AtomicBoolean done = new AtomicBoolean();
    AtomicInteger looks = new AtomicInteger();
    FutureTask<Void> watcher =
        new FutureTask<>(
            () -> {
              for (; !done.get(); looks.incrementAndGet()) {
                assertTrue(s3.exists(journal), "gone at look " + looks);
              }
              return null;
            });
    Thread.ofPlatform().start(watcher);
    for (int version = 1; version <= 40 || looks.get() < 20 && !watcher.isDone(); version++) {
      s3.publish(journal, new byte[] {(byte) Math.min(version, 40)});
    }
    done.set(true);
    watcher.get();

    try (AtomicFile file = s3.createAtomically(journal)) {
      file.stream().write(new byte[1000]);
    }
    assertEquals(40, s3.read(journal)[0]);
    assertEquals(1, s3.list(journal.getParent()).length);
  }
}
