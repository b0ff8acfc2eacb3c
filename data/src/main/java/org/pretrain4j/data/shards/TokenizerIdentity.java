package org.pretrain4j.data.shards;

import java.io.Serializable;

/**
 * What shards remember of the tokenizer that made them.
 *
 * @param fingerprint {@code sha256:} and the digest of tokenizer.json
 * @param vocabSize largest token id plus one
 * @param endOfDocument id of the token that ends each document
 */
public record TokenizerIdentity(String fingerprint, int vocabSize, int endOfDocument)
    implements Serializable {
  public TokenizerIdentity {
    if (vocabSize < 1 || endOfDocument < 0 || endOfDocument >= vocabSize) {
      throw new IllegalArgumentException(
          "end of document " + endOfDocument + " in a vocabulary of " + vocabSize);
    }
  }

  TokenType tokenType() {
    return vocabSize <= 1 << 16 ? TokenType.UINT16 : TokenType.INT32;
  }
}
