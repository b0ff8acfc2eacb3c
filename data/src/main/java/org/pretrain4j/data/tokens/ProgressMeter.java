package org.pretrain4j.data.tokens;

/** Tells a listener about once a second how far a job is. */
public final class ProgressMeter {
  private static final long INTERVAL_NANOS = 1_000_000_000L;

  private final PreparationListener listener;
  private final long totalBytes;
  private final long firstBytes;
  private final long started = System.nanoTime();
  private long lastReport = started;
  private long documents;
  private long tokens;

  /**
   * @param totalBytes of all inputs
   * @param firstBytes of them that an earlier start of the job has done
   */
  public ProgressMeter(PreparationListener listener, long totalBytes, long firstBytes) {
    this.listener = listener;
    this.totalBytes = totalBytes;
    this.firstBytes = firstBytes;
  }

  /** Counts a document, or a sequence, with its tokens. */
  public void wrote(int documentTokens) {
    documents++;
    tokens += documentTokens;
  }

  /**
   * @param bytesRead of the inputs, those of an earlier start included
   * @param now whether to tell even if the last report is young
   */
  public void report(long bytesRead, boolean now) {
    long time = System.nanoTime();
    if (!now && time - lastReport < INTERVAL_NANOS) {
      return;
    }
    lastReport = time;
    double seconds = (time - started) / 1e9;
    long read = Math.min(bytesRead, totalBytes);
    double left = (totalBytes - read) * seconds / (read - firstBytes);
    listener.progress(new Progress(read, firstBytes, totalBytes, documents, tokens, seconds, left));
  }
}
