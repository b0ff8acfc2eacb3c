package org.pretrain4j.launch;

import java.time.Duration;
import java.util.Locale;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.Progress;

/** How far tokenizing is: a live line on a terminal, elsewhere a line every so often. */
final class PreparationProgress implements PreparationListener, AutoCloseable {
  private static final Logger LOG = LogManager.getLogger(PreparationProgress.class);
  private static final long INTERVAL_NANOS = Duration.ofSeconds(10).toNanos();

  private final LiveLine out;
  private long lastLine;

  PreparationProgress(LiveLine out) {
    this.out = out;
    this.lastLine = out.nanoTime();
  }

  @Override
  public void progress(Progress progress) {
    if (out.terminal()) {
      out.update(line(progress));
    } else if (out.nanoTime() - lastLine >= INTERVAL_NANOS) {
      out.print(line(progress));
      lastLine = out.nanoTime();
    }
  }

  @Override
  public void warning(String message) {
    LOG.warn(message);
  }

  static String line(Progress progress) {
    String left =
        Double.isNaN(progress.secondsLeft())
            ? ""
            : ", "
                + HumanUnits.time(Duration.ofMillis(Math.round(1000 * progress.secondsLeft())))
                + " left";
    return String.format(
        Locale.ROOT,
        "tokenized %s of %s: %s tokens, %.1f MB/s, %s tokens/s%s",
        HumanUnits.bytes(progress.inputBytes()),
        HumanUnits.bytes(progress.totalInputBytes()),
        HumanUnits.count(progress.tokens()),
        progress.megabytesPerSecond(),
        HumanUnits.count(progress.tokensPerSecond()),
        left);
  }

  @Override
  public void close() {
    out.close();
  }
}
