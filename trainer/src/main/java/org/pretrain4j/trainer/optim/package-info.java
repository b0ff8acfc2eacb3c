/**
 * From a gradient to new parameters: the learning rate of the step, its norm and clipping, the
 * guard that keeps bad numbers out, and AdamW over a rank's shard of the flat space.
 *
 * <pre>{@code
 * var schedule = LearningRateSchedule.of(config.schedule().resolve(totalSteps), learningRate);
 * var decays = ParameterGroups.of(layout, 0.1, List.of(".*embed_tokens.*")).decays(ownedRanges);
 * var adamW = new AdamW(new AdamWSettings(0.9, 0.95, 1e-8), pool);
 *
 * double[] squares = allGather(GradientNorm.sumOfSquares(pool, shard.gradient()));
 * double norm = GradientNorm.norm(squares, 1.0 / targetTokens);
 * if (guard.judge(step, loss, norm).verdict() == StepGuard.Verdict.APPLY) {
 *   double scale = GradientNorm.clippingCoefficient(norm, 1.0) / targetTokens;
 *   adamW.step(shard, decays, ++updates, schedule.at(step), scale);
 * }
 * }</pre>
 */
package org.pretrain4j.trainer.optim;
