package org.pretrain4j.launch;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.run.RunConfig;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The configuration of a run, as every command takes it that needs one. */
final class ConfigurationOptions {
  private static final String HOME = "pretrain4j.home";

  @Parameters(paramLabel = "CONFIG", description = "The run's YAML file.")
  private Path file;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = {
        "Override a key, such as training.precision=fp32 or stages.0.steps=50; may be repeated."
      })
  private List<String> settings = new ArrayList<>();

  Path file() {
    return file;
  }

  /**
   * Reads and checks the file.
   *
   * @throws UserException listing everything that is wrong with it
   */
  RunConfig read() {
    String home = System.getProperty(HOME, "");
    if (!file.isAbsolute() && !Files.exists(file) && !home.isEmpty()) {
      if (Files.exists(Path.of(home).resolve(file))) {
        throw new UserException(
            "%s does not exist here, but in %s: paths in it are relative to that folder, so start there"
                .formatted(file, home));
      }
    }
    return ConfigurationReader.read(RunConfig.class, file, settings);
  }
}
