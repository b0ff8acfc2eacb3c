package org.pretrain4j.spark;

import java.io.Serializable;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.Tokenizer;

/**
 * Where tasks load the tokenizer from.
 *
 * @param path of a tokenizer.json that all machines can read
 * @param endOfDocument the token that ends each document
 */
public record TokenizerSource(String path, String endOfDocument) implements Serializable {
  Tokenizer load(Storage storage) {
    return Tokenizer.load(storage, path, endOfDocument);
  }
}
