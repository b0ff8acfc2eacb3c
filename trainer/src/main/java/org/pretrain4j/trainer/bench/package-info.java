/**
 * Measurements: the machine's GEMM peak and training steps of named shapes, in one process, so that
 * their ratio holds on a noisy machine.
 *
 * <pre>{@code
 * BenchReport report = StepBench.run(Shape.named("layer-3b"), 5, ScalarType.BFLOAT16, listener);
 * }</pre>
 */
package org.pretrain4j.trainer.bench;
