package org.pretrain4j.spark;

import java.util.Locale;
import org.pretrain4j.data.shards.Manifest;

/** A dataset in one line. */
final class Summary {
  private Summary() {}

  static String of(String folder, Manifest manifest) {
    return String.format(
        Locale.ROOT,
        "%s: documents %,d, tokens %,d, shards %d, bytes %,d",
        folder,
        manifest.documents(),
        manifest.tokens(),
        manifest.shards().size(),
        manifest.bytes());
  }
}
