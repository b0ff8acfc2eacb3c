/**
 * One model out of several of the same shape: weighted sums (soups of any number of checkpoints)
 * and spherical interpolation of two, with other weights for some tensors if wanted.
 *
 * <p>Each value is computed from fp32 inputs without an intermediate rounding and rounded once to
 * the type of the result. Tensors pass through a few megabytes of memory.
 *
 * <p>The reference recipe for SmolLM3 is a soup, then 0.9 of it and 0.1 of an earlier checkpoint:
 *
 * <pre>{@code
 * output: bf16
 * models:
 *   - {path: soup, weight: 0.9}
 *   - {path: runs/mid-training/checkpoints/step-0000004000, weight: 0.1}
 * }</pre>
 *
 * <pre>{@code
 * ModelMerge.run(ConfigurationReader.read(MergeConfig.class, file, List.of()), "merged", log::warn);
 * }</pre>
 */
package org.pretrain4j.checkpoints.merging;
