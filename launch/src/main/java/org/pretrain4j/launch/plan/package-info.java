/**
 * What a run will need, worked out before anything is paid for: memory, time, communication, tokens
 * and storage. Pure arithmetic on a configuration and a description of the GPUs; every formula is
 * in the Javadoc of the method that computes it, with its source.
 *
 * <pre>{@code
 * RunPlan plan = new RunPlan(config, Gpu.named("h100"), 384, 0.30);
 * plan.days();
 * plan.memory().totalBytes();
 * }</pre>
 */
package org.pretrain4j.launch.plan;
