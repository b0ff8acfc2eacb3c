package org.pretrain4j.checkpoints;

import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/** When checkpoints are written, where, and how many are kept. The last step always writes one. */
public record CheckpointConfig(
    @Key("Steps between two checkpoints") long everySteps,
    @Key("How many of the newest checkpoints are kept") @Default("3") int keepLast,
    @Key("Folder of the checkpoints, on any file system that Hadoop knows")
        @Default(value = "null", meaning = "`<run_folder>/checkpoints`")
        Optional<String> folder) {

  public CheckpointConfig {
    Checks checks = new Checks();
    checks.positive("every_steps", everySteps).positive("keep_last", keepLast);
    folder.ifPresent(path -> checks.notBlank("folder", path));
    checks.throwIfAny();
  }
}
