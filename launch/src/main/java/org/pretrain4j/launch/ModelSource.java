package org.pretrain4j.launch;

import java.util.Optional;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.tokens.Tokenizer;
import org.pretrain4j.trainer.exchange.StoredModel;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The model that a command works on, as every such command takes it. */
final class ModelSource {
  private static final Logger LOG = LogManager.getLogger(ModelSource.class);

  @Parameters(
      paramLabel = "MODEL",
      description = {
        "A run's folder (its newest good checkpoint), the folder of one checkpoint, or a model in the"
            + " format of Hugging Face or nanotron."
      })
  private String place;

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description = "A tokenizer.json instead of the one that the model names.")
  private String tokenizer;

  String place() {
    return place;
  }

  StoredModel open() {
    return StoredModel.open(place, Optional.ofNullable(tokenizer), LOG::warn);
  }

  /** Whoever has other tokens than the model knows has the tokenizer of another one. */
  static void requireVocabulary(Tokenizer tokenizer, StoredModel stored) {
    if (tokenizer.vocabSize() > stored.config().vocabSize()) {
      throw new UserException(
          "the tokenizer has %d tokens, the model only %d: it is another one's; name the right one with --tokenizer"
              .formatted(tokenizer.vocabSize(), stored.config().vocabSize()));
    }
  }
}
