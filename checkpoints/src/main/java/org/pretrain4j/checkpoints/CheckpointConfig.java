package org.pretrain4j.checkpoints;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/**
 * When checkpoints are written, where, and which are kept. The last step always writes one. Of the
 * rules of keeping, any one is enough.
 */
public record CheckpointConfig(
    @Key("Steps between two checkpoints") long everySteps,
    @Key("How many of the newest checkpoints are kept") @Default("3") int keepLast,
    @Key("Checkpoints whose step is a multiple of this are kept too; 0 for none") @Default("0")
        long keepEverySteps,
    @Key("Checkpoints younger than this are kept too, in seconds; 0 for none") @Default("0")
        long keepSeconds,
    @Key("Folder of the checkpoints, on any file system that Hadoop knows")
        @Default(value = "null", meaning = "`<run_folder>/checkpoints`")
        Optional<String> folder,
    @Key(
            "A second folder, on any file system that Hadoop knows, to which all checkpoints are"
                + " copied in the background; a run whose own folder is lost goes on from it")
        @Default(value = "null", meaning = "none")
        Optional<String> mirrorFolder,
    @Key(
            "Memory of each rank that a save is written from while training goes on, in bytes; if a"
                + " rank's state is larger, training waits for the disk to take the rest")
        @Default("4B")
        long stagingBytes) {

  public CheckpointConfig {
    Checks checks = new Checks();
    checks.positive("every_steps", everySteps).positive("keep_last", keepLast);
    checks.notNegative("keep_every_steps", keepEverySteps);
    checks.notNegative("keep_seconds", keepSeconds);
    checks.positive("staging_bytes", stagingBytes);
    checks.together(
        List.of("keep_every_steps", "every_steps"),
        () -> keepEverySteps % everySteps == 0,
        keepEverySteps,
        "a multiple of every_steps " + everySteps + ", since only those are saved");
    folder.ifPresent(path -> checks.notBlank("folder", path));
    mirrorFolder.ifPresent(path -> checks.notBlank("mirror_folder", path));
    checks.require(
        mirrorFolder.isEmpty() || !mirrorFolder.equals(folder),
        List.of("mirror_folder", "folder"),
        "is the folder of the checkpoints itself; name another one, best on another machine");
    checks.throwIfAny();
  }

  /** The same, with the folder filled in where it is left out. */
  public CheckpointConfig withFolder(String otherwise) {
    return new CheckpointConfig(
        everySteps,
        keepLast,
        keepEverySteps,
        keepSeconds,
        Optional.of(folder.orElse(otherwise)),
        mirrorFolder,
        stagingBytes);
  }

  /** The rules of keeping. */
  public RetentionPolicy retention() {
    return new RetentionPolicy(keepLast, keepEverySteps, Duration.ofSeconds(keepSeconds));
  }
}
