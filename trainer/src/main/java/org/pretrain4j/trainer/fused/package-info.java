/**
 * The training pass with few passes over memory and no allocation in the steady state.
 *
 * <p>Beside each matrix product, which libtorch computes, stand operators of the device: the vector
 * kernels of {@link org.pretrain4j.trainer.kernels} on CPUs, those of {@link
 * org.pretrain4j.trainer.cuda} on GPUs. The pass gives the same numbers, up to rounding, as the
 * composed one in {@link org.pretrain4j.trainer.model}, and takes its place:
 *
 * <pre>{@code
 * try (TrainingPass pass = new FusedPass(manager, config, weights, type, 4096, pool)) {
 *   pass.run(batch, gradients);
 *   double lossSum = pass.takeLoss();
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.fused;
