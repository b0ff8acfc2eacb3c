package org.pretrain4j.launch;

import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.ErrorHandler;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.LoggerContext;
import org.apache.logging.log4j.core.appender.AppenderLoggingException;
import org.apache.logging.log4j.core.appender.FileAppender;
import org.apache.logging.log4j.core.config.Configuration;
import org.apache.logging.log4j.core.impl.Log4jLogEvent;
import org.apache.logging.log4j.core.layout.PatternLayout;
import org.apache.logging.log4j.message.SimpleMessage;

/**
 * The log in a run's folder: what the console shows, with time, thread and stack traces. It is
 * appended to, so that the log of a run that was resumed tells the whole story, and every line is
 * flushed, so that it tells the end of it too.
 */
final class LogFile {
  private static final String APPENDER = "file";

  private LogFile() {}

  /** Sends what the loggers of this process say to the file as well, until the process ends. */
  static void attach(Path file) {
    LoggerContext context = (LoggerContext) LogManager.getContext(false);
    Configuration configuration = context.getConfiguration();
    PatternLayout layout =
        PatternLayout.newBuilder()
            .withConfiguration(configuration)
            .withPattern("%d{yyyy-MM-dd HH:mm:ss.SSS} %-5level [%t] %logger{1}: %msg%n%xEx")
            .build();
    FileAppender appender =
        FileAppender.newBuilder()
            .setName(APPENDER)
            .withFileName(file.toString())
            .setConfiguration(configuration)
            .setLayout(layout)
            .build();
    appender.setHandler(new OneWarning(file));
    appender.start();
    configuration.addAppender(appender);
    configuration.getRootLogger().addAppender(appender, null, null);
    context.updateLoggers();
  }

  /** Where Log4j would print a stack trace for each line that a full disk refuses. */
  private static final class OneWarning implements ErrorHandler {
    private final Path file;
    private final AtomicBoolean told = new AtomicBoolean();

    OneWarning(Path file) {
      this.file = file;
    }

    @Override
    public void error(String message) {
      if (told.compareAndSet(false, true)) {
        System.err.println("warning: " + file + " can't be written; its next lines may be missing");
      }
    }

    @Override
    public void error(String message, Throwable thrown) {
      error(message);
    }

    @Override
    public void error(String message, LogEvent event, Throwable thrown) {
      error(message);
    }
  }

  /** Writes a stack trace to the file and nowhere else; empty if no file is attached. */
  static Optional<Path> writeTrace(Throwable error) {
    LoggerContext context = (LoggerContext) LogManager.getContext(false);
    FileAppender appender = context.getConfiguration().getAppender(APPENDER);
    if (appender == null) {
      return Optional.empty();
    }
    LogEvent event =
        Log4jLogEvent.newBuilder()
            .setLoggerName(LogFile.class.getName())
            .setLevel(Level.ERROR)
            .setThreadName(Thread.currentThread().getName())
            .setMessage(new SimpleMessage("the command ended with an error"))
            .setThrown(error)
            .build();
    try {
      appender.append(event);
    } catch (AppenderLoggingException full) {
      // The caller has another place for it.
      return Optional.empty();
    }
    return Optional.of(Path.of(appender.getFileName()));
  }
}
