package org.pretrain4j.launch;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the process tells the shell, a batch system or a supervisor at its end. The numbers are part
 * of the interface: scripts decide by them whether to start a run again.
 */
enum ExitCode {
  OK(0, "done"),
  INTERNAL_ERROR(1, "a defect or a failure of the machine; the stack trace is in the log"),
  USAGE(2, "a mistake on the command line or in the configuration"),
  DATA(3, "input that is missing, damaged or does not fit, or output that cannot be written"),
  CHECKPOINT(4, "no checkpoint that can be used, or one that must not be overwritten"),
  DIVERGED(5, "training stopped itself after too many steps with a loss or gradient not finite"),
  SAVED(75, "told to stop by SIGINT or SIGTERM, and saved; the same command goes on from there");

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
