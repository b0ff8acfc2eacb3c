package org.pretrain4j.trainer.run;

/**
 * What a run is about to do.
 *
 * @param parameters of the model
 * @param ranks that share the work
 * @param rowsPerStep rows of a global batch
 * @param firstStep steps that are done already
 * @param totalSteps steps at the end
 * @param tokensPerStep tokens of a global batch
 * @param flopsPerToken by {@link org.pretrain4j.trainer.model.ModelFlops#FORMULA}
 * @param peakFlops what MFU is held against, of all ranks together
 * @param parameterGroups table of the groups by weight decay
 */
public record RunSummary(
    long parameters,
    int ranks,
    int rowsPerStep,
    long firstStep,
    long totalSteps,
    long tokensPerStep,
    double flopsPerToken,
    double peakFlops,
    String parameterGroups) {}
