/**
 * Models in the Hugging Face format: a folder with config.json, safetensors, tokenizer and
 * generation files, which transformers, vLLM, SGLang and others open.
 *
 * <pre>{@code
 * new HuggingFaceExport(files, DType.BF16)
 *     .export(new CheckpointTensors(checkpoint), architecture, Optional.of(tokenizerJson), folder);
 *
 * try (HuggingFaceModel model = HuggingFaceModel.open(files, folder)) {
 *   FirstCheckpoint.write(model.tensors(), layout, store, state); // training goes on from it
 * }
 * }</pre>
 */
package org.pretrain4j.checkpoints.huggingface;
