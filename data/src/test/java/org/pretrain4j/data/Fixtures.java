package org.pretrain4j.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.shards.ShardWriter;
import org.pretrain4j.data.shards.TokenizerIdentity;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.Tokenizer;

/** What many tests need: storage, tokenizers, small datasets of random tokens. */
public final class Fixtures {
  public static final Storage STORAGE = new Storage(new Configuration());
  public static final TokenizerIdentity SMALL =
      new TokenizerIdentity("sha256:" + "0".repeat(64), 1000, 999);
  public static final TokenizerIdentity LARGE =
      new TokenizerIdentity("sha256:" + "1".repeat(64), 128_256, 128_001);

  private Fixtures() {}

  public static org.apache.hadoop.fs.Path hadoop(Path path) {
    return STORAGE.path(path.toUri().toString());
  }

  public static Tokenizer bytesTokenizer() {
    return Tokenizer.load(STORAGE, "../configs/tokenizers/bytes/tokenizer.json", "<|end_of_text|>");
  }

  /** Random documents of 1 to maxLength tokens, each with its end. */
  public static List<int[]> documents(Random random, TokenizerIdentity id, int n, int maxLength) {
    List<int[]> documents = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      int[] document = new int[1 + random.nextInt(maxLength)];
      for (int t = 0; t < document.length; t++) {
        do {
          document[t] = random.nextInt(id.vocabSize());
        } while (document[t] == id.endOfDocument());
      }
      document[document.length - 1] = id.endOfDocument();
      documents.add(document);
    }
    return documents;
  }

  /** Writes a dataset of the given shards of documents. */
  public static Manifest write(
      Path folder, TokenizerIdentity id, int blockTokens, List<List<int[]>> shards)
      throws IOException {
    List<ShardEntry> entries = new ArrayList<>();
    for (int i = 0; i < shards.size(); i++) {
      org.apache.hadoop.fs.Path path = hadoop(folder.resolve("shard-" + i + ".arrow"));
      try (ShardWriter writer = new ShardWriter(STORAGE, path, id, blockTokens)) {
        for (int[] document : shards.get(i)) {
          writer.add(document);
        }
        entries.add(writer.finish());
      }
    }
    Manifest manifest = new Manifest(id, entries);
    ManifestFile.write(STORAGE, hadoop(folder.resolve(Manifest.FILE)), manifest);
    return manifest;
  }
}
