/**
 * Where a rank computes: the host's processors or one GPU, chosen and checked when a run starts.
 *
 * <pre>{@code
 * try (ComputeDevice device = ComputeDevice.open(DeviceChoice.AUTO, localRank, threads, System.getenv())) {
 *   TrainingPass pass = Passes.of(Kernels.FUSED, device, config, weights, type, 4096);
 *   ShardOperators operators = ShardOperators.of(device);
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.device;
