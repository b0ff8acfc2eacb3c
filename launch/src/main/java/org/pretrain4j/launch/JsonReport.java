package org.pretrain4j.launch;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.pretrain4j.configuration.UserException;

/** The file of {@code --json}: opened before anything is measured, written as often as asked. */
final class JsonReport {
  private final Path file;

  /**
   * @param file null if none is wanted
   * @throws UserException if it can't be written
   */
  JsonReport(Path file) {
    this.file = file;
    if (file != null) {
      try {
        // What an earlier measurement left there stays until there is something better.
        Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND).close();
      } catch (IOException e) {
        throw unwritable(e);
      }
    }
  }

  /**
   * Replaces what the file holds.
   *
   * @param document a record, or a list of them
   * @throws UserException if it can't be written any more
   */
  void write(Object document) {
    if (file == null) {
      return;
    }
    try {
      Files.writeString(file, JsonOutput.of(document) + System.lineSeparator());
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  private UserException unwritable(IOException e) {
    String reason =
        switch (e) {
          case NoSuchFileException missing -> "there is no such folder";
          case AccessDeniedException denied -> "no permission to";
          case FileSystemException refused -> String.valueOf(refused.getReason());
          default -> e.getMessage();
        };
    return new UserException("--json " + file + " can't be written: " + reason, e);
  }
}
