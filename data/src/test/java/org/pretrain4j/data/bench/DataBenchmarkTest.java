package org.pretrain4j.data.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.text.ArithmeticInput;

class DataBenchmarkTest {
  @TempDir Path folder;

  private DataBenchmark benchmark() {
    return new DataBenchmark(
        Fixtures.STORAGE,
        "../configs/tokenizers/bytes/tokenizer.json",
        "<|end_of_text|>",
        Fixtures.hadoop(folder));
  }

  /** Five million tokens would take 21 MB if they were kept. */
  @Test
  @Tag("slow")
  void memoryIsFlatOverAHundredTimesMoreData() throws Exception {
    DataBenchmark benchmark = benchmark();
    benchmark.memory(300, 2);
    DataBenchmark.MemoryUse once = benchmark.memory(300, 2);
    DataBenchmark.MemoryUse hundredfold = benchmark.memory(30_000, 2);
    System.out.println(once + "\n" + hundredfold);
    assertTrue(hundredfold.tokens() > 99 * once.tokens());
    assertTrue(
        hundredfold.liveBytes() < once.liveBytes() + 12_000_000, once + ", then " + hundredfold);
  }

  @Test
  void measuresAndLeavesNothing() throws Exception {
    DataBenchmark benchmark = benchmark();
    long tokens = Long.getLong("bench.tokens", 100_000);
    DataBenchmark.ReadRates two = benchmark.read(50_000, tokens, Optional.empty());
    DataBenchmark.ReadRates four = benchmark.read(128_256, tokens, Optional.empty());
    System.out.println(two + "\n" + four);
    assertEquals(List.of("uint16", "int32"), List.of(two.tokens(), four.tokens()));
    assertTrue(two.tokensPerSecond() > 0 && two.bytes() < four.bytes());
    int documents = Integer.getInteger("bench.documents", 100);
    DataBenchmark.TokenizeRates rates =
        benchmark.tokenize(List.of(new ArithmeticInput(documents, 1)), 2);
    System.out.println(rates);
    assertTrue(rates.megabytesPerSecond() > 0 && rates.directMegabytesPerSecond() > 0);
    try (var files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
  }
}
