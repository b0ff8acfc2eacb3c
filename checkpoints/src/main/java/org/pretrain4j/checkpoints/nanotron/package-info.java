/**
 * The weights of checkpoints that nanotron wrote, whatever its tensor and pipeline parallelism was.
 *
 * <p>nanotron keeps one safetensors file for each parameter, or for each slice of it, and fuses the
 * projections of queries, keys and values, and those of gate and up. Here they appear under their
 * names in the Hugging Face convention, put together from the slices as they are read.
 *
 * <pre>{@code
 * try (NanotronModel model = NanotronModel.open(files, new Path("checkpoints/40000"))) {
 *   FirstCheckpoint.write(model.tensors(), layout, store, state);
 * }
 * }</pre>
 */
package org.pretrain4j.checkpoints.nanotron;
