/**
 * Measurements: the machine's GEMM peak and training steps of named shapes, in one process, so that
 * their ratio holds on a noisy machine.
 *
 * <pre>{@code
 * StepBench bench =
 *     new StepBench(
 *         Shape.named("135m"),
 *         ScalarType.BFLOAT16,
 *         Kernels.FUSED,
 *         Set.of(),
 *         ActivationCheckpointing.NONE,
 *         Optional.of(Kernels.COMPOSED),
 *         5);
 * System.out.println(bench.run().baseline().speedup());
 * }</pre>
 */
package org.pretrain4j.trainer.bench;
