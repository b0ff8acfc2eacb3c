package org.pretrain4j.spark;

import java.io.IOException;
import java.util.concurrent.Callable;
import org.apache.spark.api.java.JavaSparkContext;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.TokenizeOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code tokenize} with a task for each worker. */
@Command(
    name = "tokenize",
    header = "Turns text into shards of tokens, a task for each worker.",
    description = {
      "The result is that of 'pretrain4j tokenize --worker i/N' for each i, joined by"
          + " 'merge-manifests'; with --workers 1 that of plain 'tokenize'."
    })
final class TokenizeCommand implements Callable<Integer> {
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
      description = "A tokenizer.json in the Hugging Face format, where all machines can read it.")
  private String tokenizer;

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
      names = "--workers",
      paramLabel = "N",
      description =
          "Into how many parts the input files are dealt (default: one for each GiB, at most one for"
              + " each file).")
  private Integer workers;

  @Override
  public Integer call() throws IOException {
    try (JavaSparkContext spark = SparkStart.start("tokenize")) {
      Storage storage = new Storage(spark.hadoopConfiguration());
      Corpus corpus = inputs.find(storage);
      TokenizeOptions options =
          new TokenizeOptions(
              shardTokens,
              TokenizeOptions.DEFAULT_BLOCK_TOKENS,
              0,
              workers == null ? TokenizeOnSpark.defaultWorkers(corpus) : workers,
              spark.getConf().getInt("spark.task.cpus", 1));
      TokenizerSource source =
          new TokenizerSource(storage.path(tokenizer).toString(), endOfDocument);
      Manifest manifest = new TokenizeOnSpark(spark, corpus, source, output, options).run();
      spec.commandLine().getOut().println(Summary.of(output, manifest));
    }
    return 0;
  }
}
