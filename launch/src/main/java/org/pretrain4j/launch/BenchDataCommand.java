package org.pretrain4j.launch;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.bench.DataBenchmark;
import org.pretrain4j.data.bench.LargestRun;
import org.pretrain4j.data.storage.LocalCache;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.ArithmeticInput;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures the preparation and the reading of data. */
@Command(
    name = "data",
    header = "Measures tokenizing, reading shards, memory, and the start of the largest run.",
    description = {
      "tokenize: the whole job, from text to shards, against the Hugging Face library alone on the"
          + " same documents, with as many threads. read: shards of random tokens on one thread,"
          + " verified and decoded, against a plain read of the same files; where the folder is"
          + " remote also through a warm local cache. memory: the live heap while documents, then a"
          + " hundred times as many, are tokenized and read. largest-run: opening 11.2T tokens in 56"
          + " sources, planning three stages, seeking to step 4,000,000."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j bench data --tokenizer tokenizer.json --text 'corpus/*.txt'",
      "  pretrain4j bench data --part read --folder hdfs://nn/tmp/bench"
    })
final class BenchDataCommand implements Callable<Integer> {
  private static final long CACHE_BYTES = 4L << 30;

  /** What is measured. */
  enum Part {
    TOKENIZE,
    READ,
    MEMORY,
    LARGEST_RUN;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  @Spec private CommandSpec spec;

  @Option(
      names = "--part",
      paramLabel = "PART",
      description = "What to measure, may be repeated: ${COMPLETION-CANDIDATES} (default: all).")
  private List<Part> parts = new ArrayList<>();

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description =
          "A tokenizer.json in the Hugging Face format (default: the shipped one of bytes, which is"
              + " far from one of words).")
  private String tokenizer =
      System.getProperty("pretrain4j.home", ".") + "/configs/tokenizers/bytes/tokenizer.json";

  @Option(
      names = "--end-of-document",
      paramLabel = "TOKEN",
      defaultValue = "<|end_of_text|>",
      description = "The token that ends each document (default: ${DEFAULT-VALUE}).")
  private String endOfDocument;

  @Option(
      names = "--text",
      paramLabel = "INPUT",
      description =
          "Text files to tokenize, may be repeated (default: generated arithmetic); they are also"
              + " kept in memory.")
  private List<String> texts = new ArrayList<>();

  @Option(
      names = "--folder",
      paramLabel = "FOLDER",
      description =
          "Where shards are written and read, on any file system that Hadoop knows (default: a"
              + " temporary one); emptied at the end.")
  private String folder;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "50000000",
      description = "Tokens to read (default: ${DEFAULT-VALUE}).")
  private long tokens;

  @Option(
      names = "--documents",
      paramLabel = "N",
      defaultValue = "2000",
      description =
          "Generated documents for memory, and times 10 for tokenize (default: ${DEFAULT-VALUE}).")
  private long documents;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Tokenizing threads (default: one for each core).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the numbers to this file.")
  private Path json;

  private final Map<String, Object> results = new LinkedHashMap<>();

  @Override
  public Integer call() throws IOException {
    if (tokens < 100_000 || documents < 100 || threads < 1) {
      throw new UserException(
          "--tokens %d, --documents %d, --threads %d; expected at least 100000, 100 and 1"
              .formatted(tokens, documents, threads));
    }
    Storage storage = new Storage(new Configuration());
    Path local = Files.createTempDirectory("pretrain4j-bench-");
    org.apache.hadoop.fs.Path localFolder = storage.path(local.toUri().toString());
    org.apache.hadoop.fs.Path root =
        folder == null
            ? localFolder
            : new org.apache.hadoop.fs.Path(storage.path(folder), "pretrain4j-bench");
    try (LocalCache cache = new LocalCache(local.resolve("cache"), CACHE_BYTES)) {
      measure(storage, root, cache);
    } finally {
      storage.delete(root);
      storage.delete(localFolder);
    }
    if (json != null) {
      Files.writeString(json, mapper().writeValueAsString(results) + System.lineSeparator());
    }
    return ExitCode.OK.number();
  }

  private void measure(Storage storage, org.apache.hadoop.fs.Path root, LocalCache cache)
      throws IOException {
    DataBenchmark benchmark = new DataBenchmark(storage, tokenizer, endOfDocument, root);
    Set<Part> chosen = parts.isEmpty() ? EnumSet.allOf(Part.class) : EnumSet.copyOf(parts);
    for (Part part : chosen) {
      switch (part) {
        case TOKENIZE -> tokenize(benchmark, storage);
        case READ -> {
          read(benchmark, 49_152, Optional.empty());
          read(benchmark, 128_256, Optional.empty());
          if (!storage.isLocal(root)) {
            read(benchmark, 128_256, Optional.of(cache));
          }
        }
        case MEMORY -> memory(benchmark);
        case LARGEST_RUN -> largestRun(new LargestRun(storage, root));
      }
    }
  }

  private void tokenize(DataBenchmark benchmark, Storage storage) throws IOException {
    List<DocumentInput> inputs =
        texts.isEmpty()
            ? List.of(new ArithmeticInput(10 * documents, 1))
            : TextInputs.find(storage, texts, TextFormat.TEXT, "text");
    DataBenchmark.TokenizeRates rates = benchmark.tokenize(inputs, threads);
    results.put("tokenize", rates);
    line(
        "tokenize",
        "%.2f MB/s, %s tokens/s on %d threads; the library alone %.2f MB/s: %.0f%%",
        rates.megabytesPerSecond(),
        HumanUnits.count(rates.tokensPerSecond()),
        rates.threads(),
        rates.directMegabytesPerSecond(),
        100 * rates.shareOfDirect());
  }

  private void read(DataBenchmark benchmark, int vocabSize, Optional<LocalCache> cache)
      throws IOException {
    DataBenchmark.ReadRates rates = benchmark.read(vocabSize, tokens, cache);
    String name = "read " + rates.tokens() + (cache.isPresent() ? " cached" : "");
    results.put(name.replace(' ', '_'), rates);
    line(
        name,
        "%s tokens/s on one thread, %,.0f MB/s of %s; a plain read %,.0f MB/s",
        HumanUnits.count(rates.tokensPerSecond()),
        rates.megabytesPerSecond(),
        HumanUnits.bytes(rates.bytes()),
        rates.plainMegabytesPerSecond());
  }

  private void memory(DataBenchmark benchmark) throws IOException {
    DataBenchmark.MemoryUse once = benchmark.memory(documents, threads);
    DataBenchmark.MemoryUse hundredfold = benchmark.memory(100 * documents, threads);
    results.put("memory", List.of(once, hundredfold));
    line(
        "memory",
        "live heap at most %s with %s tokens, %s with %s",
        HumanUnits.bytes(once.liveBytes()),
        HumanUnits.count(once.tokens()),
        HumanUnits.bytes(hundredfold.liveBytes()),
        HumanUnits.count(hundredfold.tokens()));
  }

  private void largestRun(LargestRun run) throws IOException {
    LargestRun.Cost cost = run.measure();
    results.put("largest_run", cost);
    line(
        "largest run",
        "%s tokens in %d sources and %s shards: at step %s of %s in %.2f s with %s of heap",
        HumanUnits.count(LargestRun.TOKENS),
        LargestRun.SOURCES,
        HumanUnits.exact(cost.shards()),
        HumanUnits.exact(LargestRun.STEP),
        HumanUnits.exact(cost.steps()),
        cost.seconds(),
        HumanUnits.bytes(cost.liveBytes()));
  }

  private static JsonMapper mapper() {
    return JsonMapper.builder()
        .enable(SerializationFeature.INDENT_OUTPUT)
        .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
        .build();
  }

  private void line(String name, String format, Object... values) {
    spec.commandLine()
        .getOut()
        .println(
            String.format(Locale.ROOT, "%-18s ", name)
                + String.format(Locale.ROOT, format, values));
    spec.commandLine().getOut().flush();
  }
}
