/**
 * The oracle: SmolLM3 in float64 and plain Java, forward and backward written by hand from the
 * recipe's formulas, sharing no code with what it judges. Slow, for models of a few thousand
 * parameters.
 *
 * <pre>{@code
 * var config = new ReferenceModel.Config(11, 8, 12, 4, 4, 2, 4, 50_000, 4, 1e-6, true);
 * var model = new ReferenceModel(config, ReferenceModel.randomParameters(config, new Random(1), 0.2));
 * double[] logits = model.logits(tokens, documentStarts); // [tokens, vocabSize]
 * var result = model.lossAndGradients(tokens, targets, documentStarts);
 * double[] gradient = result.gradients().get("model.norm.weight");
 * }</pre>
 */
package org.pretrain4j.trainer.reference;
