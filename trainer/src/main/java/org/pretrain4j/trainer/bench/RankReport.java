package org.pretrain4j.trainer.bench;

/**
 * What was measured of some ranks that share a step. Times are medians over the steps, of the rank
 * that needed the most.
 *
 * @param shape its name
 * @param engine that moved the bytes
 * @param ranks that shared the step
 * @param threads of each rank
 * @param stepTokens tokens of a step over all ranks
 * @param stepSeconds forward, backward, reduction, optimizer and all-gather
 * @param tokensPerSecond of all ranks together
 * @param exposedSeconds time that a rank waited for the others: communication that no computation
 *     hid, and ranks that came later
 * @param optimizerSeconds the update of a rank's shard
 * @param optimizerBytes master weights and moments of a rank
 * @param gradientBytes what a rank keeps of the gradients
 * @param peakMemoryBytes largest resident set of a process; of all ranks together where they are
 *     threads
 */
public record RankReport(
    String shape,
    String engine,
    int ranks,
    int threads,
    long stepTokens,
    double stepSeconds,
    double tokensPerSecond,
    double exposedSeconds,
    double optimizerSeconds,
    long optimizerBytes,
    long gradientBytes,
    long peakMemoryBytes) {}
