package org.pretrain4j.data;

import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Key;

/** The tokenizer that text is, and shards were, made with. */
public record TokenizerConfig(
    @Key(
            "A tokenizer.json in the Hugging Face format; a path is relative to the working"
                + " directory")
        String path,
    @Key("The token that ends each document, such as `<|end_of_text|>`") String endOfDocument) {

  public TokenizerConfig {
    new Checks().notBlank("path", path).notBlank("end_of_document", endOfDocument).throwIfAny();
  }
}
