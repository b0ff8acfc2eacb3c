/**
 * Text to tokens: the tokenizer, and the job that tokenizes a corpus into shards.
 *
 * <pre>{@code
 * try (Tokenizer tokenizer = Tokenizer.load(storage, "configs/tokenizers/bytes/tokenizer.json", "<|end_of_text|>")) {
 *   int[] ids = tokenizer.encode("Hello");
 *   new TokenizeJob(storage, tokenizer, inputs, new Path("data/web"), TokenizeOptions.defaults(), listener).run();
 * }
 * }</pre>
 */
package org.pretrain4j.data.tokens;
