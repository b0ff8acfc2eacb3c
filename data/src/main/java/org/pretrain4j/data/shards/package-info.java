/**
 * Tokens on disk: a folder of Arrow IPC files and a {@code manifest.json}; docs/data-format.md
 * describes both for other tools. Documents are rows; record batches ("blocks") of bounded size are
 * what is read, verified by CRC-32C, decoded and cached.
 *
 * <p>{@link org.pretrain4j.data.shards.ShardWriter} writes one shard, {@link
 * org.pretrain4j.data.shards.ShardedDataset} opens a folder, {@link
 * org.pretrain4j.data.shards.SequenceWindows} reads it as sequences in the order of training.
 *
 * <pre>{@code
 * BlockCache cache = new BlockCache(256L << 20);
 * ShardedDataset web = ShardedDataset.open(storage, new Path("data/web"), tokenizer.identity(), cache);
 * SequenceWindows windows = web.windows("web", 4096, seed);
 * Sequence sequence = windows.read(123_456_789L);
 * }</pre>
 */
package org.pretrain4j.data.shards;
