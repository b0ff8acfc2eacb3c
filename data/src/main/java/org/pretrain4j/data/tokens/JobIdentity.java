package org.pretrain4j.data.tokens;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import org.pretrain4j.data.text.DocumentInput;

/** A digest of everything that decides the bytes of a job's result. */
final class JobIdentity {
  private JobIdentity() {}

  static String of(List<DocumentInput> inputs, Tokenizer tokenizer, TokenizeOptions options) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      add(digest, "pretrain4j-tokenize-1");
      add(digest, tokenizer.identity().toString());
      add(digest, options.shardTokens() + "/" + options.blockTokens());
      add(digest, options.worker() + "/" + options.workers());
      for (DocumentInput input : inputs) {
        add(digest, input.identity());
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void add(MessageDigest digest, String part) {
    digest.update(part.getBytes(StandardCharsets.UTF_8));
    digest.update((byte) 0);
  }
}
