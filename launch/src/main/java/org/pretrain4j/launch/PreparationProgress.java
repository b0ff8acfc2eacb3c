package org.pretrain4j.launch;

import java.time.Duration;
import java.util.Locale;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.Progress;

/** How far a preparation of data is: a live line on a terminal, elsewhere a line every so often. */
final class PreparationProgress implements PreparationListener, AutoCloseable {
  private static final Logger LOG = LogManager.getLogger(PreparationProgress.class);
  private static final long INTERVAL_NANOS = Duration.ofSeconds(10).toNanos();

  private final String done;
  private final LiveLine out;
  private long lastLine;

  /**
   * @param done what has become of the input, such as "tokenized"
   */
  PreparationProgress(String done, LiveLine out) {
    this.done = done;
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

  private String line(Progress progress) {
    String left =
        Double.isNaN(progress.secondsLeft())
            ? ""
            : ", "
                + HumanUnits.time(Duration.ofMillis(Math.round(1000 * progress.secondsLeft())))
                + " left";
    String tokens =
        progress.tokens() == 0
            ? ""
            : String.format(
                Locale.ROOT,
                ": %s tokens, %s tokens/s",
                HumanUnits.count(progress.tokens()),
                HumanUnits.count(progress.tokensPerSecond()));
    return String.format(
        Locale.ROOT,
        "%s %s of %s%s, %.1f MB/s%s",
        done,
        HumanUnits.bytes(progress.inputBytes()),
        HumanUnits.bytes(progress.totalInputBytes()),
        tokens,
        progress.megabytesPerSecond(),
        left);
  }

  @Override
  public void close() {
    out.close();
  }
}
