/**
 * Measures the data engine: tokenization against the Hugging Face library called directly, reading
 * against a plain read of the same bytes, memory, and what the largest run costs before its first
 * step. {@code launch/pretrain4j bench data} prints the result.
 *
 * <pre>{@code
 * DataBenchmark benchmark = new DataBenchmark(storage, tokenizerPath, "<|end_of_text|>", folder);
 * DataBenchmark.ReadRates rates = benchmark.read(128_256, 100_000_000, Optional.empty());
 * }</pre>
 */
package org.pretrain4j.data.bench;
