package org.pretrain4j.trainer.bench;

/**
 * What saving and loading cost; times in seconds, sizes in bytes, rates in bytes a second. Of
 * several measurements the median, shares being medians of the ratios of neighbours.
 *
 * @param shape name of the model
 * @param stateBytes size of master weights and moments
 * @param stagingBytes memory held for background saving
 * @param blockedSeconds how long a save held up the step loop, the first one left out, whose memory
 *     is new
 * @param firstBlockedSeconds how long the first one did
 * @param writeRate of a save, from its beginning until it is published
 * @param plainWriteRate of the same bytes written to one file and synced
 * @param writeShare how much of that a save reaches
 * @param readRate of loading, all bytes verified, from a disk whose cache was emptied where that is
 *     possible
 * @param plainReadRate of the same bytes read into the same memory
 * @param readShare how much of that loading reaches
 * @param cacheEmptied whether reading began with an empty page cache
 * @param stepSeconds duration of a step of this shape on this machine
 */
public record CheckpointBenchReport(
    String shape,
    long stateBytes,
    long stagingBytes,
    double blockedSeconds,
    double firstBlockedSeconds,
    double writeRate,
    double plainWriteRate,
    double writeShare,
    double readRate,
    double plainReadRate,
    double readShare,
    boolean cacheEmptied,
    double stepSeconds) {

  /** Share of the training time that saving holds up the steps. */
  public double blockedShare(long everySteps) {
    double training = everySteps * stepSeconds;
    return blockedSeconds / (training + blockedSeconds);
  }
}
