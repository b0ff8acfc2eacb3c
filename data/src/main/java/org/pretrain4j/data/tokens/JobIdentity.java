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

  /**
   * The digest of one worker's part; if several share the job, that of the list they share comes
   * before it, so that parts that do not fit together are told apart. The list is of names alone: a
   * file that is mended is work for its own worker only.
   *
   * @param inputs of all workers
   * @param own those of this one
   */
  static String of(
      List<DocumentInput> inputs,
      List<DocumentInput> own,
      Tokenizer tokenizer,
      TokenizeOptions options) {
    String part =
        digest(
            tokenizer,
            options,
            options.worker() + "/" + options.workers(),
            own.stream().map(DocumentInput::identity).toList());
    if (options.workers() == 1) {
      return part;
    }
    String workers = Integer.toString(options.workers());
    List<String> names = inputs.stream().map(DocumentInput::name).toList();
    return digest(tokenizer, options, workers, names) + "/" + part;
  }

  /** The part of a worker's identity that it shares with the other workers of its job. */
  static String sharedPart(String job) {
    int slash = job.indexOf('/');
    return slash < 0 ? job : job.substring(0, slash);
  }

  private static String digest(
      Tokenizer tokenizer, TokenizeOptions options, String workers, List<String> inputs) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      add(digest, "pretrain4j-tokenize-1");
      add(digest, tokenizer.identity().toString());
      add(digest, options.shardTokens() + "/" + options.blockTokens());
      add(digest, workers);
      inputs.forEach(input -> add(digest, input));
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
