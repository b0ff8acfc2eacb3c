/**
 * Shuffles a dataset at the level of sequences, so that a bad stretch of one source file ends up
 * spread over the whole dataset and not in one batch. External: memory is bounded by the size of a
 * shard, whatever the size of the dataset.
 *
 * <pre>{@code
 * new ShuffleJob(storage, new Path("data/web"), new Path("data/web-shuffled"),
 *     new ShuffleOptions(4096, seed, 1L << 25), listener).run();
 * }</pre>
 */
package org.pretrain4j.data.shuffle;
