package org.pretrain4j.data.bench;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.random.SplitMix64;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.ReadPolicy;
import org.pretrain4j.data.shards.SequenceCursor;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.shards.ShardWriter;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.shards.TokenizerIdentity;
import org.pretrain4j.data.storage.LocalCache;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.ArithmeticInput;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;

/** Rates of the data engine on this machine, each the best of a few repetitions. */
public final class DataBenchmark {
  private static final int REPETITIONS = 3;
  private static final int SEQUENCE_LENGTH = 4096;
  // Less than what is read, so that blocks are decoded anew in each repetition.
  private static final long DECODED_BYTES = 8L << 20;

  private final Storage storage;
  private final String tokenizerPath;
  private final String endOfDocument;
  private final Path folder;

  /**
   * Tokenization.
   *
   * @param textBytes of the inputs, as stored
   * @param tokensPerSecond of the whole job: reading, tokenizing, writing shards
   * @param megabytesPerSecond of the same
   * @param directMegabytesPerSecond of the Hugging Face library called by as many threads on the
   *     same documents, which are in memory: its encode and its ids, nothing else
   */
  public record TokenizeRates(
      long textBytes,
      int threads,
      double tokensPerSecond,
      double megabytesPerSecond,
      double directMegabytesPerSecond) {

    /** The job's rate as a share of the library's own. */
    public double shareOfDirect() {
      return megabytesPerSecond / directMegabytesPerSecond;
    }
  }

  /**
   * Reading shards in sequences on one thread, from whatever cache the file system has.
   *
   * @param bytes of the shards
   * @param tokensPerSecond checked, decoded and copied into sequences
   * @param megabytesPerSecond of stored bytes at that rate
   * @param plainMegabytesPerSecond of a plain read of the same files
   */
  public record ReadRates(
      String tokens,
      long bytes,
      double tokensPerSecond,
      double megabytesPerSecond,
      double plainMegabytesPerSecond) {}

  /**
   * @param tokens tokenized, written and read
   * @param liveBytes the most of the heap that a collection left
   */
  public record MemoryUse(long tokens, long liveBytes) {}

  /**
   * @param folder for what the benchmark writes, on the file system to measure
   */
  public DataBenchmark(Storage storage, String tokenizerPath, String endOfDocument, Path folder) {
    this.storage = storage;
    this.tokenizerPath = tokenizerPath;
    this.endOfDocument = endOfDocument;
    this.folder = folder;
  }

  /** Tokenizes the inputs, and the same documents directly. */
  public TokenizeRates tokenize(List<DocumentInput> inputs, int threads) throws IOException {
    long bytes = inputs.stream().mapToLong(DocumentInput::bytes).sum();
    List<String> texts = texts(inputs);
    double direct = Double.POSITIVE_INFINITY;
    double job = Double.POSITIVE_INFINITY;
    long tokens = 0;
    try (Tokenizer tokenizer = Tokenizer.load(storage, tokenizerPath, endOfDocument)) {
      for (int i = 0; i < REPETITIONS; i++) {
        direct = Math.min(direct, direct(texts, threads));
        Path output = new Path(folder, "tokenize");
        storage.delete(output);
        long started = System.nanoTime();
        tokens =
            new TokenizeJob(
                    storage,
                    tokenizer,
                    inputs,
                    output,
                    TokenizeOptions.defaults().withThreads(threads),
                    PreparationListener.NONE)
                .run()
                .tokens();
        job = Math.min(job, (System.nanoTime() - started) / 1e9);
        storage.delete(output);
      }
    }
    return new TokenizeRates(bytes, threads, tokens / job, bytes / 1e6 / job, bytes / 1e6 / direct);
  }

  private static List<String> texts(List<DocumentInput> inputs) throws IOException {
    List<String> texts = new ArrayList<>();
    for (DocumentInput input : inputs) {
      try (DocumentReader reader = input.open()) {
        for (Document document = reader.next(); document != null; document = reader.next()) {
          texts.add(document.text());
        }
      }
    }
    return texts;
  }

  /** Seconds of the library's encode on all texts, below DJL's own, which copies far more. */
  private double direct(List<String> texts, int threads) throws IOException {
    LibUtils.checkStatus();
    TokenizersLibrary library = TokenizersLibrary.LIB;
    long handle =
        library.createTokenizerFromString(
            new String(storage.read(storage.path(tokenizerPath)), StandardCharsets.UTF_8));
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      AtomicInteger next = new AtomicInteger();
      long started = System.nanoTime();
      List<Future<Long>> workers = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        workers.add(
            pool.submit(
                () -> {
                  long tokens = 0;
                  for (int i = next.getAndIncrement();
                      i < texts.size();
                      i = next.getAndIncrement()) {
                    long encoding = library.encode(handle, texts.get(i), false);
                    tokens += library.getTokenIds(encoding).length;
                    library.deleteEncoding(encoding);
                  }
                  return tokens;
                }));
      }
      long tokens = 0;
      for (Future<Long> worker : workers) {
        tokens += worker.get();
      }
      double seconds = (System.nanoTime() - started) / 1e9;
      if (tokens == 0) {
        throw new UserException("the text to measure with has no tokens; name other files");
      }
      return seconds;
    } catch (ExecutionException e) {
      throw new IllegalStateException("the direct tokenization failed", e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    } finally {
      library.deleteTokenizer(handle);
    }
  }

  /**
   * Writes random tokens and reads them back.
   *
   * @param vocabSize decides between two and four bytes a token; ids follow a Zipf-like law, as
   *     those of text do
   * @param cache through which a remote folder is read; the last of the repetitions finds it warm
   */
  public ReadRates read(int vocabSize, long tokens, Optional<LocalCache> cache) throws IOException {
    Path data = new Path(folder, "read-" + vocabSize);
    storage.delete(data);
    TokenizerIdentity tokenizer = new TokenizerIdentity("sha256:benchmark", vocabSize, 0);
    writeRandom(data, tokenizer, tokens);
    ReadPolicy policy = cache.map(ReadPolicy.stop()::withLocalCache).orElse(ReadPolicy.stop());
    double plain = Double.POSITIVE_INFINITY;
    double read = Double.POSITIVE_INFINITY;
    long bytes = 0;
    long count = 0;
    for (int i = 0; i < REPETITIONS; i++) {
      long started = System.nanoTime();
      bytes = readPlainly(data);
      plain = Math.min(plain, (System.nanoTime() - started) / 1e9);
      ShardedDataset dataset =
          ShardedDataset.open(storage, data, tokenizer, new BlockCache(DECODED_BYTES), policy);
      started = System.nanoTime();
      count = readAll(dataset);
      read = Math.min(read, (System.nanoTime() - started) / 1e9);
    }
    storage.delete(data);
    return new ReadRates(
        vocabSize <= 1 << 16 ? "uint16" : "int32",
        bytes,
        count / read,
        bytes / 1e6 / read,
        bytes / 1e6 / plain);
  }

  private static long readAll(ShardedDataset dataset) {
    SequenceCursor cursor = dataset.cursor(SEQUENCE_LENGTH);
    for (long s = 0; s < cursor.size(); s++) {
      cursor.read(s);
    }
    return cursor.size() * (SEQUENCE_LENGTH + 1L);
  }

  /**
   * Tokenizes generated documents and reads their shards, while the heap is collected again and
   * again.
   */
  public MemoryUse memory(long documents, int threads) throws IOException {
    Path data = new Path(folder, "memory");
    storage.delete(data);
    try (Tokenizer tokenizer = Tokenizer.load(storage, tokenizerPath, endOfDocument);
        LiveHeap heap = new LiveHeap()) {
      Manifest manifest =
          new TokenizeJob(
                  storage,
                  tokenizer,
                  List.of(new ArithmeticInput(documents, 1)),
                  data,
                  TokenizeOptions.defaults().withThreads(threads),
                  PreparationListener.NONE)
              .run();
      readAll(
          ShardedDataset.open(storage, data, tokenizer.identity(), new BlockCache(DECODED_BYTES)));
      return new MemoryUse(manifest.tokens(), heap.mostBytes());
    } finally {
      storage.delete(data);
    }
  }

  private void writeRandom(Path data, TokenizerIdentity tokenizer, long tokens) throws IOException {
    SplitMix64 random = SplitMix64.of(1);
    List<ShardEntry> shards = new ArrayList<>();
    int[] document = new int[1000];
    for (int shard = 0; shard < 4; shard++) {
      Path path = new Path(data, "shard-" + shard + ".arrow");
      try (ShardWriter writer =
          new ShardWriter(storage, path, tokenizer, TokenizeOptions.DEFAULT_BLOCK_TOKENS)) {
        while (writer.tokens() < tokens / 4) {
          for (int t = 0; t < document.length - 1; t++) {
            double uniform = (random.nextLong() >>> 11) * 0x1p-53;
            document[t] = 1 + (int) (Math.pow(tokenizer.vocabSize() - 1, uniform) - 1);
          }
          document[document.length - 1] = tokenizer.endOfDocument();
          writer.add(document);
        }
        shards.add(writer.finish());
      }
    }
    ManifestFile.write(storage, new Path(data, Manifest.FILE), new Manifest(tokenizer, shards));
  }

  private long readPlainly(Path data) throws IOException {
    byte[] buffer = new byte[1 << 20];
    long total = 0;
    for (Path file :
        Arrays.stream(storage.list(data)).map(status -> status.getPath()).sorted().toList()) {
      if (file.getName().endsWith(".arrow")) {
        try (InputStream in = storage.open(file)) {
          for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            total += n;
          }
        }
      }
    }
    return total;
  }
}
