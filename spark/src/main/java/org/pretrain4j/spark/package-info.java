/**
 * Preparation of data on Apache Spark, for corpora that one machine would take too long for. Spark
 * deals out the work and moves what has to meet; what is done with a document, a sequence or a
 * shard is the code of {@code data}, so the results are those of the local commands, byte for byte.
 *
 * <pre>{@code
 * try (JavaSparkContext spark = new JavaSparkContext(new SparkConf().setMaster("local[*]"))) {
 *   Corpus corpus = Corpus.find(storage, List.of("hdfs://nn/web/*.jsonl.zst"), TextFormat.JSONL, "text");
 *   CurationDecision decision = new CurationOnSpark(spark, curation).decide(corpus);
 *   log.info(decision.report());
 *   new TokenizeOnSpark(spark, decision.corpus(), tokenizer, "hdfs://nn/shards/web", options).run();
 *   new ShuffleJob(storage, source, target, shuffleOptions, listener).run(new SparkShuffle(spark, target));
 * }
 * }</pre>
 */
package org.pretrain4j.spark;
