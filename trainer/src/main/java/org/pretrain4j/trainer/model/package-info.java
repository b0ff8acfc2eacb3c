/**
 * The SmolLM3 decoder as DJL blocks, its parameters in one flat space, and the pass that turns a
 * micro-batch into a loss and gradients.
 *
 * <p>{@link org.pretrain4j.trainer.model.ModelLayout} names the parameters and says where each
 * lies; whoever holds the values implements {@link org.pretrain4j.trainer.model.ParameterStorage};
 * whoever wants the gradients implements {@link org.pretrain4j.trainer.model.GradientSink}:
 *
 * <pre>{@code
 * try (TrainingPass pass = new LayerwisePass(manager, config, storage, ScalarType.BFLOAT16, 4096)) {
 *   pass.run(batch, sink);
 *   double lossSum = pass.takeLoss();
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.model;
