/**
 * Models as one GGUF file, which llama.cpp, Ollama and LM Studio open.
 *
 * <p>The architecture is {@code smollm3}: no rotation in every 4th layer is built into its readers.
 * They rotate adjacent pairs of dimensions where the Hugging Face layout rotates halves, so the
 * rows of the query and key projections are written in another order; the model stays the same.
 *
 * <pre>{@code
 * new GgufExport(files, GgufType.Q8_0)
 *     .export(tensors, architecture, Optional.of(tokenizerJson), "my model", new Path("model.gguf"));
 * }</pre>
 */
package org.pretrain4j.checkpoints.gguf;
