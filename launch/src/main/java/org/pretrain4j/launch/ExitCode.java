package org.pretrain4j.launch;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the process tells the shell, a batch system or a supervisor at its end. The numbers are part
 * of the interface: scripts decide by them whether to start a run again.
 */
enum ExitCode {
  OK(0, "done"),
  INTERNAL_ERROR(1, "a defect or a failure of the machine; the log has the stack trace"),
  USAGE(2, "a mistake on the command line, in the configuration or in the input"),
  STORAGE(3, "a file system that refuses to read or to write, such as a full disk"),
  DIVERGED(4, "the loss spiked, or too many steps in a row had to be skipped"),
  HUNG(70, "a rank hung; records and thread dumps are in the run's folder, in records"),
  OTHER_RANK(71, "another rank failed, hung or did not come; its log says why"),
  SAVED(75, "told to stop by SIGINT or SIGTERM, and saved: the same command goes on");

  private final int number;
  private final String meaning;

  ExitCode(int number, String meaning) {
    this.number = number;
    this.meaning = meaning;
  }

  int number() {
    return number;
  }

  /** Number to meaning, in ascending order, as the help shows it. */
  static Map<String, String> table() {
    Map<String, String> table = new LinkedHashMap<>();
    for (ExitCode code : values()) {
      table.put(" " + code.number, code.meaning);
    }
    return table;
  }
}
