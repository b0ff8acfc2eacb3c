package org.pretrain4j.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.DFSTestUtil;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.protocol.ExtendedBlock;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.Quarantine;
import org.pretrain4j.data.shards.ReadPolicy;
import org.pretrain4j.data.shards.SequenceCursor;
import org.pretrain4j.data.shards.SequenceWindows;
import org.pretrain4j.data.shards.ShardException;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.storage.LocalCache;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.ArithmeticInput;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;

/** A name node and a data node in this JVM; everything else as in a run. */
@Tag("slow")
class HdfsTest {
  @TempDir static Path folder;

  private static MiniDFSCluster cluster;
  private static Storage storage;
  private static String root;

  @BeforeAll
  static void start() throws Exception {
    Configuration configuration = new Configuration();
    configuration.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, folder.resolve("dfs").toString());
    cluster = new MiniDFSCluster.Builder(configuration).numDataNodes(1).build();
    cluster.waitActive();
    storage = new Storage(configuration);
    root = cluster.getURI().toString();
  }

  @AfterAll
  static void stop() {
    if (cluster != null) {
      cluster.close();
    }
  }

  private static Manifest tokenize(Storage on, org.apache.hadoop.fs.Path output) {
    return tokenize(on, output, List.of(new ArithmeticInput(400, 1)));
  }

  private static Manifest tokenize(
      Storage on, org.apache.hadoop.fs.Path output, List<DocumentInput> inputs) {
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      return new TokenizeJob(
              on,
              tokenizer,
              inputs,
              output,
              new TokenizeOptions(20_000, 2048, 0, 1, 2),
              PreparationListener.NONE)
          .run();
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

  private static ShardedDataset open(
      Storage on, org.apache.hadoop.fs.Path path, ReadPolicy policy) {
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      return ShardedDataset.open(on, path, tokenizer.identity(), new BlockCache(1), policy);
    }
  }

  @Test
  void theSameTokensFromHdfsAsFromAFileWithAndWithoutCache() throws Exception {
    org.apache.hadoop.fs.Path local = Fixtures.hadoop(folder.resolve("local"));
    org.apache.hadoop.fs.Path remote = storage.path(root + "/same");
    assertEquals(tokenize(Fixtures.STORAGE, local), tokenize(storage, remote));
    List<String> expected = read(open(Fixtures.STORAGE, local, ReadPolicy.stop()));
    assertEquals(expected, read(open(storage, remote, ReadPolicy.stop())));
    try (LocalCache cache = new LocalCache(folder.resolve("cache"), 1 << 20)) {
      ReadPolicy policy = ReadPolicy.stop().withLocalCache(cache);
      assertEquals(expected, read(open(storage, remote, policy)));
      assertEquals(expected, read(open(storage, remote, policy)));
      assertTrue(cache.hitRate() > 0.9, "hit rate " + cache.hitRate());
      damageAll(folder.resolve("cache"));
      assertEquals(expected, read(open(storage, remote, policy)), "a bad local piece is mended");
    }
  }

  private static void damageAll(Path cache) throws Exception {
    try (var files = Files.list(cache)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".piece")).toList()) {
        byte[] bytes = Files.readAllBytes(file);
        if (bytes.length > 0) {
          bytes[bytes.length / 2] ^= 1;
          Files.write(file, bytes);
        }
      }
    }
  }

  @Test
  void textOnHdfsIsFoundByGlobAndResumedJobsReplaceTheirJournal() throws Exception {
    for (String name : List.of("/text/a/1.txt", "/text/a/b/2.txt", "/text/3.md")) {
      storage.publish(
          storage.path(root + name), ("text of " + name).getBytes(StandardCharsets.UTF_8));
    }
    List<DocumentInput> inputs =
        TextInputs.find(storage, List.of(root + "/text/**/*.txt"), TextFormat.TEXT, "text");
    assertEquals(2, inputs.size());
    org.apache.hadoop.fs.Path output = storage.path(root + "/text-shards");
    assertEquals(2, tokenize(storage, output, inputs).documents());
    assertEquals(2, tokenize(storage, output, inputs).documents());
  }

  /** A client that does not wait for a data node to come back. */
  private static Storage impatient() {
    Configuration impatient = new Configuration(storage.configuration());
    impatient.setInt("dfs.client.max.block.acquire.failures", 0);
    impatient.setInt("dfs.client.retry.window.base", 1);
    impatient.setInt("ipc.client.connect.max.retries", 0);
    impatient.setBoolean("fs.hdfs.impl.disable.cache", true);
    return new Storage(impatient);
  }

  @Test
  void aBlockWhoseOnlyCopyIsCorruptIsDamageAndSubstituted() throws Exception {
    org.apache.hadoop.fs.Path remote = storage.path(root + "/corrupt");
    Manifest manifest = tokenize(storage, remote);
    String shard = manifest.shards().get(1).name();
    ExtendedBlock block =
        DFSTestUtil.getFirstBlock(
            cluster.getFileSystem(), new org.apache.hadoop.fs.Path(remote, shard));
    cluster.corruptReplica(0, block);
    ReadPolicy stop = new ReadPolicy(2, java.time.Duration.ofMillis(1), Optional.empty());
    Storage client = impatient();
    ShardedDataset stopping = open(client, remote, stop);
    ShardException e = assertThrows(ShardException.class, () -> read(stopping));
    assertTrue(!e.isUnreachable() && e.getMessage().contains(shard), e.getMessage());
    assertTrue(e.getMessage().contains("restore the file"), e.getMessage());

    Quarantine quarantine = Quarantine.open(storage, storage.path(root + "/quarantine"));
    ReadPolicy substitute =
        new ReadPolicy(2, java.time.Duration.ofMillis(1), Optional.of(quarantine));
    SequenceWindows windows = open(client, remote, substitute).windows("web", 100, 1);
    long substitutes = 0;
    for (long i = 0; i < windows.perEpoch(); i++) {
      substitutes += windows.read(i).substitute() ? 1 : 0;
    }
    assertTrue(substitutes > 5 && substitutes < windows.perEpoch() / 2, substitutes + " rows");
    assertTrue(
        quarantine.entries().stream().allMatch(entry -> entry.file().endsWith(shard)),
        quarantine.entries().toString());
  }

  @Test
  void aLostDataNodeIsNamedAndComesBack() throws Exception {
    org.apache.hadoop.fs.Path remote = storage.path(root + "/lost");
    tokenize(storage, remote);
    Storage client = impatient();
    ReadPolicy policy = new ReadPolicy(2, java.time.Duration.ofMillis(1), Optional.empty());
    ShardedDataset dataset = open(client, remote, policy);
    MiniDFSCluster.DataNodeProperties node = cluster.stopDataNode(0);
    ShardException e = assertThrows(ShardException.class, () -> read(dataset));
    assertTrue(e.isUnreachable() && e.getMessage().contains("/lost/shard-"), e.getMessage());
    cluster.restartDataNode(node, true);
    cluster.waitActive();
    assertEquals(read(open(storage, remote, policy)), read(dataset));
  }
}
