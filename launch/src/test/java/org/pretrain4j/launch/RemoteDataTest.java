package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.data.stream.ReadAhead;
import org.pretrain4j.data.stream.Row;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.s3.S3Server;
import org.pretrain4j.trainer.run.RowShare;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.run.RunData;

/**
 * The quickstart's tokens from a file, a real HDFS and an S3 server, both on loopback; and the
 * commands on both.
 */
@Tag("slow")
class RemoteDataTest {
  private static final long SEED = Long.getLong("seed", System.nanoTime());

  @TempDir static Path folder;

  private static MiniDFSCluster cluster;
  private static S3Server server;
  private static ClassLoader before;
  private static URLClassLoader configured;

  @BeforeAll
  static void start() throws Exception {
    Configuration hdfs = new Configuration();
    hdfs.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, folder.resolve("dfs").toString());
    cluster = new MiniDFSCluster.Builder(hdfs).numDataNodes(1).build();
    cluster.waitActive();
    server = new S3Server(folder);
    // What HADOOP_CONF_DIR is for: programs find the settings on their class path.
    Path settings = Files.createDirectories(folder.resolve("settings"));
    try (OutputStream out = Files.newOutputStream(settings.resolve("core-site.xml"))) {
      server.configuration(folder).writeXml(out);
    }
    before = Thread.currentThread().getContextClassLoader();
    configured = new URLClassLoader(new URL[] {settings.toUri().toURL()}, before);
    Thread.currentThread().setContextClassLoader(configured);
  }

  @AfterAll
  static void stop() throws Exception {
    Thread.currentThread().setContextClassLoader(before);
    if (configured != null) {
      configured.close();
    }
    if (server != null) {
      server.close();
    }
    if (cluster != null) {
      cluster.close();
    }
  }

  private static List<String> roots() {
    return List.of(
        folder.resolve("local").toUri().toString(),
        cluster.getURI() + "/remote",
        "s3a://corpus/remote");
  }

  /** The quickstart as it is shipped, with paths that lead to it from here. */
  private static RunConfig quickstart(String... settings) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "run_folder=" + folder.resolve("run"),
                "tokenizer.path=" + Cli.TOKENIZER,
                "data.datasets.web.text=[../README.md, ../docs/**/*.md]",
                "data.datasets.code.text=['../*/src/**/*.java']"));
    all.addAll(List.of(settings));
    return ConfigurationReader.read(RunConfig.class, Path.of("../configs/quickstart.yaml"), all);
  }

  private static RunConfig quickstartFrom(String root) {
    List<String> settings = new ArrayList<>();
    for (String name : List.of("web", "code", "math")) {
      settings.add("data.datasets." + name + ".text=[]");
      settings.add("data.datasets." + name + ".shards=" + root + "/" + name);
    }
    settings.add("data.datasets.math.synthetic=null");
    settings.add("data.datasets.math.documents=null");
    settings.add("data.cache_folder=" + folder.resolve("cache"));
    return quickstart(settings.toArray(String[]::new));
  }

  private static TokenStream open(RunConfig config) {
    return RunData.open(config, PreparationListener.NONE);
  }

  private static void add(MessageDigest digest, Row row) {
    ByteBuffer bytes =
        ByteBuffer.allocate(4 * (1 + row.tokens().length + row.documentStarts().length));
    bytes.putInt(row.dataset());
    for (int token : row.tokens()) {
      bytes.putInt(token);
    }
    for (int start : row.documentStarts()) {
      bytes.putInt(start);
    }
    digest.update(bytes.array());
  }

  private static String end(MessageDigest digest) {
    return HexFormat.of().formatHex(digest.digest()).substring(0, 16);
  }

  /** A hash for each step, read row by row in this thread. */
  private static List<String> plainly(TokenStream stream) throws Exception {
    List<String> hashes = new ArrayList<>();
    for (long step = 0; step < stream.plan().steps(); step++) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (int row = 0; row < stream.plan().rowsPerStep(); row++) {
        add(digest, stream.row(step, row));
      }
      hashes.add(end(digest));
    }
    return hashes;
  }

  /** A hash for each step from the first on, as so many ranks read ahead. */
  private static List<String> byRanks(TokenStream stream, int ranks, long firstStep)
      throws Exception {
    List<ReadAhead> readers = new ArrayList<>();
    for (int rank = 0; rank < ranks; rank++) {
      RowShare share = RowShare.of(stream.plan().rowsPerStep(), rank, ranks);
      readers.add(new ReadAhead(stream, firstStep, share.from(), share.to(), 1 + 2 * rank, 1));
    }
    List<String> hashes = new ArrayList<>();
    for (long step = firstStep; step < stream.plan().steps(); step++) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (ReadAhead reader : readers) {
        reader.next().forEach(row -> add(digest, row));
      }
      hashes.add(end(digest));
    }
    readers.forEach(ReadAhead::close);
    return hashes;
  }

  @Test
  void theQuickstartsTokensAreTheSameFromEverywhereAtAnyRanksAndAfterAnyResume() throws Exception {
    TokenStream own = open(quickstart());
    List<String> expected = plainly(own);
    assertEquals(300, expected.size());
    assertEquals(300, expected.stream().distinct().count(), "every step reads something else");
    org.apache.hadoop.fs.Path prepared =
        new org.apache.hadoop.fs.Path(folder.resolve("run/data").toUri());
    Random random = new Random(SEED);
    for (String root : roots()) {
      org.apache.hadoop.fs.Path target = new org.apache.hadoop.fs.Path(root + "-quickstart");
      Configuration settings = new Configuration();
      FileUtil.copy(
          FileSystem.getLocal(settings),
          prepared,
          FileSystem.get(target.toUri(), settings),
          target,
          false,
          settings);
      RunConfig config = quickstartFrom(root + "-quickstart");
      String what = root + ", seed " + SEED;
      assertEquals(expected, plainly(open(config)), what);
      for (int ranks : new int[] {1, 2, 4, 8}) {
        TokenStream stream = open(config);
        assertEquals(expected, byRanks(stream, ranks, 0), what + ", ranks " + ranks);
        int from = random.nextInt(300);
        assertEquals(
            expected.subList(from, 300),
            byRanks(open(config), ranks, from),
            what + ", ranks " + ranks + " from step " + from);
      }
    }
  }

  private static String run(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code =
        Main.commandLine(new ErrorReport(), new GracefulStop())
            .setOut(new PrintWriter(out, true))
            .setErr(new PrintWriter(err, true))
            .execute(arguments);
    assertEquals(0, code, () -> out + "\n" + err);
    return out.toString();
  }

  @Test
  void everyCommandTakesAndMakesDataOnHdfsAndS3() throws Exception {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 300; i++) {
      lines
          .append("{\"text\": \"")
          .append("word" + i * 31 + " ")
          .append("and ".repeat(i % 40 + 12));
      lines.append("so on\"}\n");
    }
    for (String root : roots()) {
      org.apache.hadoop.fs.Path text = new org.apache.hadoop.fs.Path(root + "-text/a.jsonl");
      try (OutputStream out = FileSystem.get(text.toUri(), new Configuration()).create(text)) {
        out.write(lines.toString().getBytes(StandardCharsets.UTF_8));
      }
      run(
          "curate",
          root + "-text/*.jsonl",
          "--output",
          root + "-curated",
          "--set",
          "min_letter_share=0.1");
      run(
          "tokenize",
          root + "-curated/*.jsonl.zst",
          "--tokenizer",
          Cli.TOKENIZER.toString(),
          "--output",
          root + "-shards",
          "--shard-tokens",
          "20000");
      String shuffled =
          run(
              "shuffle",
              root + "-shards",
              "--output",
              root + "-shuffled",
              "--sequence-length",
              "64",
              "--shard-tokens",
              "16000");
      assertTrue(shuffled.contains("tokens "), shuffled);
      assertTrue(run("inspect", root + "-shuffled").contains("tokens"));
    }
  }

  /** With -Dbench.tokens=20000000 the numbers of docs/performance.md. */
  @Test
  void readingIsMeasuredFromAnywhere() throws Exception {
    String tokens = System.getProperty("bench.tokens", "200000");
    for (String root : roots()) {
      String out = run("bench", "data", "--part", "read", "--tokens", tokens, "--folder", root);
      System.out.println(root + "\n" + out);
      assertEquals(!root.startsWith("file:"), out.contains("cached"), out);
      assertTrue(out.toLowerCase(Locale.ROOT).contains("tokens/s"), out);
    }
  }
}
