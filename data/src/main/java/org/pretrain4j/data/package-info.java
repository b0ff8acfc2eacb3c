/**
 * From text to the rows of a training step: the configuration of datasets, and {@link
 * org.pretrain4j.data.DatasetPreparation}, which turns one into shards that can be read.
 *
 * <p>Data flows one way through the packages below: {@code text} (documents) to {@code tokens}
 * (tokenizer and tokenization) to {@code shards} (Arrow files) to {@code stream} (the order of
 * training); {@code storage} is under all of them.
 *
 * <pre>{@code
 * try (Tokenizer tokenizer = Tokenizer.load(storage, config.path(), config.endOfDocument())) {
 *   var preparation = new DatasetPreparation(storage, tokenizer, new BlockCache(BlockCache.DEFAULT_BYTES), listener);
 *   List<SequenceWindows> datasets = new ArrayList<>();
 *   for (var entry : data.datasets().entrySet()) {
 *     datasets.add(preparation.prepare(entry.getKey(), entry.getValue(), seed, preparedFolder)
 *         .windows(entry.getKey(), sequenceLength, seed));
 *   }
 *   TokenStream stream = new TokenStream(new StagePlan(names, rowsPerStep, stages), datasets);
 * }
 * }</pre>
 */
package org.pretrain4j.data;
