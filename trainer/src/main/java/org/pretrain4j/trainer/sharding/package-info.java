/**
 * Data parallelism with sharded optimizer state: how the flat space is cut into buckets, who owns
 * what of each, and how gradients and weights travel.
 *
 * <p>Each rank computes with all weights ({@link org.pretrain4j.trainer.sharding.ParameterBuffer}),
 * sums its gradients in float32 ({@link org.pretrain4j.trainer.sharding.GradientBuffer}), all of
 * them or its shard, which are reduced and scattered bucket by bucket while the backward pass goes
 * on, updates what it owns ({@link org.pretrain4j.trainer.sharding.OptimizerShard}), and gathers
 * the weights of the others:
 *
 * <pre>{@code
 * gradients.startStep(1);
 * pass.run(batch, gradients);
 * gradients.finishStep();
 * Pending there = shard.update(adamW, groups, gradients, weights, collectives, update, rate, scale);
 * there.follow();
 * }</pre>
 */
package org.pretrain4j.trainer.sharding;
