package org.pretrain4j.spark;

import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.pretrain4j.data.storage.Storage;

/** A Spark of two threads for all tests, and what they compare with. */
final class LocalSpark {
  static final JavaSparkContext SPARK =
      new JavaSparkContext(
          new SparkConf()
              .setMaster("local[2]")
              .setAppName("tests")
              .set("spark.ui.enabled", "false")
              .set("spark.driver.host", "localhost")
              .set("spark.driver.bindAddress", "127.0.0.1"));
  static final Storage STORAGE = new Storage(new Configuration());
  static final TokenizerSource BYTES =
      new TokenizerSource("../configs/tokenizers/bytes/tokenizer.json", "<|end_of_text|>");

  private LocalSpark() {}

  static org.apache.hadoop.fs.Path hadoop(Path path) {
    return STORAGE.path(path.toUri().toString());
  }

  /** Names and bytes of a folder's visible files. */
  static Map<String, String> contents(Path folder) throws IOException {
    Map<String, String> contents = new TreeMap<>();
    try (var files = Files.list(folder)) {
      for (Path file : files.toList()) {
        String name = file.getFileName().toString();
        assertFalse(name.endsWith(".tmp"), name);
        if (!name.startsWith(".")) {
          contents.put(name, new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
        }
      }
    }
    return contents;
  }
}
