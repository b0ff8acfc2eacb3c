package org.pretrain4j.trainer.run;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.util.Map;

/**
 * One step of a run, as it stands in {@code metrics.jsonl}. Times are in seconds.
 *
 * @param step number of steps done, this one included
 * @param stage name of its stage
 * @param tokens tokens read since the beginning of the run
 * @param loss mean cross entropy over the targets of the global batch, in nats; null if not finite
 * @param learningRate learning rate of this step
 * @param gradNorm global norm of the mean gradient before clipping; null if not finite
 * @param skipped whether the update was left out
 * @param skippedSteps updates left out since the beginning of the run
 * @param seconds duration of the step
 * @param tokensPerSecond tokens of the step over its duration, all ranks together
 * @param mfu share of the peak that the model's operations reached
 * @param dataWaitSeconds time that rank 0 waited for its rows
 * @param communicationSeconds time that rank 0 waited in collectives: communication that no
 *     computation hides, and other ranks that come later
 * @param phaseSeconds where the time of rank 0 went
 * @param checkpointSeconds time that training stood still after this step to save
 * @param checkpointWriteSeconds time from the beginning of a save until rank 0's shard was durable,
 *     in the line of the step in which the save ended; 0 in all others
 * @param checkpointPublishSeconds time from then until the checkpoint was complete
 * @param slowestRank rank that worked longest, waiting for others left out
 * @param slowestRankSeconds its time
 * @param idleShare of the ranks' time, as the rows of a step don't go evenly over them
 * @param garbageCollectionSeconds pauses for the collector of the Java heap of rank 0's process
 *     since the last line, also those between steps
 * @param residentBytes memory of the process
 * @param shares share of each dataset in the rows of this stage so far
 * @param datasetTokens tokens read of each dataset since the beginning of the run
 * @param datasetEpochs passes over each dataset since then, with fraction
 * @param substitutedRows rows of this step that stood in for damaged ones, over all ranks
 * @param dataChanges how often the run was continued with other data
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record StepMetrics(
    long step,
    String stage,
    long tokens,
    Double loss,
    @JsonProperty("lr") double learningRate,
    Double gradNorm,
    boolean skipped,
    long skippedSteps,
    double seconds,
    double tokensPerSecond,
    double mfu,
    double dataWaitSeconds,
    double communicationSeconds,
    Map<String, Double> phaseSeconds,
    double checkpointSeconds,
    double checkpointWriteSeconds,
    double checkpointPublishSeconds,
    int slowestRank,
    double slowestRankSeconds,
    double idleShare,
    double garbageCollectionSeconds,
    long residentBytes,
    Map<String, Double> shares,
    Map<String, Long> datasetTokens,
    Map<String, Double> datasetEpochs,
    long substitutedRows,
    int dataChanges) {}
