/**
 * One run: its configuration, its stages and the loop over its steps.
 *
 * <p>{@link org.pretrain4j.trainer.run.RunConfig} composes the records that stand beside the
 * components they configure and checks what they must agree on:
 *
 * <pre>{@code
 * RunConfig run =
 *     ConfigurationReader.read(RunConfig.class, Path.of("configs/quickstart.yaml"), List.of("seed=7"));
 * run.totalSteps();
 * }</pre>
 */
package org.pretrain4j.trainer.run;
