/**
 * Documents from where they are: text files, JSONL (plain, gzip, zstd), generated arithmetic. A
 * {@link org.pretrain4j.data.text.DocumentInput} is one file (or one generator) that can be opened
 * again and again and always gives the same documents in the same order; that makes tokenization
 * repeatable and resumable.
 *
 * <p>Reading is strict: text that is not UTF-8, a line that is not JSON, a truncated archive are
 * reported with file and place, and never skipped or replaced in silence.
 *
 * <pre>{@code
 * for (DocumentInput input : TextInputs.find(storage, List.of("corpus/**" + "/*.jsonl.zst"), TextFormat.JSONL, "text")) {
 *   try (DocumentReader reader = input.open()) {
 *     for (Document document = reader.next(); document != null; document = reader.next()) { ... }
 *   }
 * }
 * }</pre>
 */
package org.pretrain4j.data.text;
