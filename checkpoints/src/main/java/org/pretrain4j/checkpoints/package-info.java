/**
 * Durable state of a run: written by any number of ranks, read by any other number, and never
 * believed without its checksums.
 *
 * <p>All parameters lie in one flat space ({@link org.pretrain4j.checkpoints.FlatLayout}). A rank
 * owns a list of {@linkplain org.pretrain4j.checkpoints.FlatRange ranges} of it and, for each kind
 * of value (master weights, first and second moments), the packed values of its ranges. Saving has
 * two phases: every rank writes its shard into one hidden folder, then rank 0 checks that all are
 * there, writes the manifest and renames the folder. A checkpoint is thus there whole or not at
 * all.
 *
 * <pre>{@code
 * CheckpointStore store = CheckpointStore.open("hdfs://nn/runs/first/checkpoints");
 *
 * // every rank; attempt is new at each start of the run and the same on all of its ranks
 * StagedCheckpoint staged = store.stage(step, attempt);
 * staged.writeShard(rank, worldSize, layout, ranges, Map.of("master", master, "exp_avg", expAvg));
 * barrier();
 * if (rank == 0) {
 *   staged.publish(worldSize, CheckpointState.builder(step).tokens(tokens).build());
 *   store.retainNewest(3, log::warn);
 * }
 *
 * // later, with another world size
 * Optional<Checkpoint> newest = store.newestGood(log::warn);
 * newest.get().read("master", new FlatRange(0, 4096), segment);
 * }</pre>
 *
 * <p>The format is described in docs/checkpoint-format.md.
 */
package org.pretrain4j.checkpoints;
