package org.pretrain4j.launch;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Turns text into a folder of token shards. */
@Command(
    name = "tokenize",
    header = "Turns text, JSONL, Parquet and Arrow into shards of tokens.",
    description = {
      "Reads plain files and those compressed by gzip or zstd, and corpora that datatrove (.ds) or"
          + " Megatron-LM (.idx with .bin) tokenized. A job that was killed goes on where it stopped"
          + " when it is started again, and its result is the same.",
      "",
      "On several machines, each takes a part of the inputs: --worker 0/16 on the first to 15/16 on"
          + " the last, all with the same output; then merge-manifests joins their parts."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j tokenize --tokenizer tokenizer.json --output shards/web 'corpus/**/*.txt'",
      "  pretrain4j tokenize --tokenizer tokenizer.json --output hdfs://nn/shards/books"
          + " 'books-*.jsonl.gz' --text-column body",
      "  pretrain4j tokenize --tokenizer tokenizer.json --output shards/web 'web-*.jsonl.zst'"
          + " --worker 3/16",
      "  pretrain4j tokenize --tokenizer tokenizer.json --output shards/old 'megatron/*.idx'"
    })
final class TokenizeCommand implements Callable<Integer> {
  private static final Pattern WORKER = Pattern.compile("([0-9]{1,6})/([0-9]{1,6})");

  @Spec private CommandSpec spec;

  @Mixin private InputOptions inputs;

  @Option(
      names = "--output",
      paramLabel = "FOLDER",
      required = true,
      description = "Where the shards and their manifest go.")
  private String output;

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      required = true,
      description = "A tokenizer.json in the Hugging Face format.")
  private String tokenizerFile;

  @Option(
      names = "--end-of-document",
      paramLabel = "TOKEN",
      defaultValue = "<|end_of_text|>",
      description = "The token that ends each document (default: ${DEFAULT-VALUE}).")
  private String endOfDocument;

  @Option(
      names = "--shard-tokens",
      paramLabel = "N",
      description = "A shard ends with the document that reaches so many tokens (default: 2^28).")
  private long shardTokens = TokenizeOptions.DEFAULT_SHARD_TOKENS;

  @Option(
      names = "--worker",
      paramLabel = "I/N",
      description = "Take only every N-th input, from number I, counted from 0, on.")
  private String worker;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Tokenizing threads (default: one for each core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Override
  public Integer call() throws IOException {
    Storage storage = new Storage(new Configuration());
    Manifest manifest = run(storage, inputs.find(storage));
    spec.commandLine().getOut().println(HumanUnits.dataset(output, manifest));
    return ExitCode.OK.number();
  }

  private Manifest run(Storage storage, List<DocumentInput> documents) {
    try (Tokenizer tokenizer = Tokenizer.load(storage, tokenizerFile, endOfDocument);
        PreparationProgress progress =
            new PreparationProgress("tokenized", LiveLine.onStandardOutput())) {
      return new TokenizeJob(
              storage, tokenizer, documents, storage.path(output), options(), progress)
          .run();
    }
  }

  private TokenizeOptions options() {
    int number = 0;
    int of = 1;
    if (worker != null) {
      Matcher matcher = WORKER.matcher(worker);
      if (!matcher.matches()) {
        throw new UserException("--worker is " + worker + ", expected one such as 0/4");
      }
      number = Integer.parseInt(matcher.group(1));
      of = Integer.parseInt(matcher.group(2));
    }
    return new TokenizeOptions(
        shardTokens, TokenizeOptions.DEFAULT_BLOCK_TOKENS, number, of, threads);
  }
}
