package org.pretrain4j.launch;

import ai.djl.ndarray.NDManager;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.tokens.Tokenizer;
import org.pretrain4j.trainer.exchange.StoredModel;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.model.InferenceModel;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Continues a prompt with a trained model. */
@Command(
    name = "generate",
    header = "Continues a prompt with the model of a run.",
    description = {
      "Takes the run's newest good checkpoint, or the one that is named. The text goes to standard"
          + " output, and nothing else does."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j generate --run runs/quickstart --prompt '12 + 7 = '",
      "  pretrain4j generate --run runs/quickstart --prompt 'public ' --temperature 0",
      "  pretrain4j generate --checkpoint runs/quickstart/checkpoints/step-0000000150 --prompt 'The '",
      "  pretrain4j generate --model exported/quickstart --prompt 'The '"
    })
final class GenerateCommand implements Callable<Integer> {
  private static final Logger LOG = LogManager.getLogger(GenerateCommand.class);

  @ArgGroup(multiplicity = "1")
  private Source source;

  /** Where the model comes from. */
  private static final class Source {
    @Option(
        names = "--run",
        paramLabel = "FOLDER",
        description = "A run's folder; its newest good checkpoint is taken.")
    private String run;

    @Option(
        names = "--checkpoint",
        paramLabel = "FOLDER",
        description = "The folder of one checkpoint, such as runs/a/checkpoints/step-0000000100.")
    private String checkpoint;

    @Option(
        names = "--model",
        paramLabel = "FOLDER",
        description = "A model in the format of Hugging Face or nanotron.")
    private String model;

    String place() {
      return run != null ? run : checkpoint != null ? checkpoint : model;
    }
  }

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description = "A tokenizer.json instead of the one that the model names.")
  private String tokenizerFile;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      required = true,
      description = "What the text begins with.")
  private String prompt;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "200",
      description = "Where to stop if no document ends before (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0.6",
      description = "0 always takes the likeliest token (default: ${DEFAULT-VALUE}).")
  private double temperature;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "0.95",
      description = {
        "Draw from the fewest tokens that are so probable together (default: ${DEFAULT-VALUE})."
      })
  private double topP;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Of the drawing; the same seed gives the same text (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Override
  public Integer call() {
    Sampler sampler = new Sampler(temperature, topP, seed);
    if (maxTokens < 1) {
      throw new UserException("--max-tokens is " + maxTokens + ", expected at least 1");
    }
    try (StoredModel stored =
            StoredModel.open(source.place(), Optional.ofNullable(tokenizerFile), LOG::warn);
        Tokenizer tokenizer = stored.openTokenizer();
        NDManager manager = Managers.host();
        InferenceModel model = stored.load(manager, stored.sequenceLength())) {
      ModelSource.requireVocabulary(tokenizer, stored);
      int[] tokens = tokenizer.encode(prompt);
      if (tokens.length == 0) {
        throw new UserException("--prompt is empty, expected at least one character");
      }
      GeneratedText text = new GeneratedText(tokenizer, System.out, tokens);
      int window = stored.sequenceLength();
      for (int i = 0; i < maxTokens; i++) {
        int next = sampler.next(model.nextLogits(text.last(window)), tokenizer.vocabSize());
        if (next == tokenizer.endOfDocument()) {
          break;
        }
        text.add(next);
      }
      text.end();
    }
    return ExitCode.OK.number();
  }
}
