/**
 * Tensors by name, wherever they are stored: what exports, imports and merges work on.
 *
 * <p>A {@link org.pretrain4j.checkpoints.tensors.TensorSource} hands out any part of any tensor as
 * fp32, so that a model of any size passes through a few megabytes of memory. {@link
 * org.pretrain4j.checkpoints.tensors.Rounding} turns fp32 into the narrower types, each value
 * rounded once, to nearest, ties to even.
 *
 * <pre>{@code
 * try (TensorSource tensors = SafetensorsFolder.open(files, folder)) {
 *   tensors.read("model.norm.weight", 0, values, 2048);
 * }
 * TensorSource own = new CheckpointTensors(checkpoint);
 * }</pre>
 */
package org.pretrain4j.checkpoints.tensors;
