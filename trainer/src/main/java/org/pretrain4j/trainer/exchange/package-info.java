/**
 * Models that leave the house and models that enter it: what the module checkpoints converts tensor
 * by tensor meets here the model that computes with them.
 *
 * <p>A {@link org.pretrain4j.trainer.exchange.StoredModel} is a model in any format: a checkpoint,
 * a run, a folder of Hugging Face or of nanotron. {@link
 * org.pretrain4j.trainer.exchange.ModelExport} writes one and computes logits with what it reads
 * back, before the result appears; {@link org.pretrain4j.trainer.exchange.ModelImport} makes one
 * the beginning of a run.
 *
 * <pre>{@code
 * try (StoredModel model = StoredModel.open("runs/quickstart", Optional.empty(), log::warn)) {
 *   ExportReport report = ModelExport.gguf(model, GgufType.BF16, "quickstart", "quickstart.gguf");
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.exchange;
