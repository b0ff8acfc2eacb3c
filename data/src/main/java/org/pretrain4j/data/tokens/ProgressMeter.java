package org.pretrain4j.data.tokens;

import java.util.List;
import org.pretrain4j.data.text.DocumentInput;

/** Tells a listener about once a second how far a job is. */
final class ProgressMeter {
  private static final long INTERVAL_NANOS = 1_000_000_000L;

  private final DocumentFeed feed;
  private final PreparationListener listener;
  private final long totalBytes;
  private final long firstBytes;
  private final long started = System.nanoTime();
  private long lastReport = started;
  private long documents;
  private long tokens;

  ProgressMeter(DocumentFeed feed, List<DocumentInput> inputs, PreparationListener listener) {
    this.feed = feed;
    this.listener = listener;
    this.totalBytes = inputs.stream().mapToLong(DocumentInput::bytes).sum();
    this.firstBytes = feed.skippedBytes();
  }

  void wrote(int documentTokens) {
    documents++;
    tokens += documentTokens;
  }

  void report(boolean now) {
    long time = System.nanoTime();
    if (!now && time - lastReport < INTERVAL_NANOS) {
      return;
    }
    lastReport = time;
    double seconds = (time - started) / 1e9;
    long read = Math.min(feed.bytesRead(), totalBytes);
    double left = (totalBytes - read) * seconds / (read - firstBytes);
    listener.progress(
        new Progress(read - firstBytes, totalBytes, documents, tokens, seconds, left));
  }
}
