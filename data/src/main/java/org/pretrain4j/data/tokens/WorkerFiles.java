package org.pretrain4j.data.tokens;

import java.util.Locale;
import org.pretrain4j.data.shards.Manifest;

/** Names of one worker's files in the dataset folder, which all workers share. */
record WorkerFiles(int worker, int workers) {
  String manifest() {
    return workers == 1
        ? Manifest.FILE
        : String.format(Locale.ROOT, "manifest-%05d-of-%05d.json", worker, workers);
  }

  String prefix() {
    return workers == 1
        ? "shard-"
        : String.format(Locale.ROOT, "shard-%05d-of-%05d-", worker, workers);
  }

  String shard(int number) {
    return prefix() + String.format(Locale.ROOT, "%05d.arrow", number);
  }

  String journal() {
    return workers == 1
        ? "tokenize.json"
        : String.format(Locale.ROOT, "tokenize-%05d-of-%05d.json", worker, workers);
  }
}
