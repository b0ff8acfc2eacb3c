package org.pretrain4j.trainer.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.pretrain4j.configuration.ConfigurationReference;

/** Writes docs/configuration.md from the configuration records, so that it cannot drift. */
public final class ConfigurationDocs {
  private static final String INTRODUCTION =
      """
      # Configuration

      Generated from the configuration records; `mvn verify` fails where this page and the records
      differ, and says how to write it again.

      One YAML file describes a run. It is read strictly: an unknown key, a wrong type, a missing
      key or an impossible value or combination is an error with its file and line, and all errors
      are reported at once before anything starts. `launch/pretrain4j validate run.yaml` does only
      that.

      - **Paths** are relative to the working directory, or of any file system that Hadoop knows:
        `hdfs://namenode/data`, `s3a://bucket/data`.
      - **Whole numbers** may be written `8_000`, `25K` (thousand), `2.36M` (million), `9B` (billion)
        or `8T` (trillion), as long as they come out whole.
      - **`extends: other.yaml`** at the top of a file, relative to that file, takes over what the
        other file says: mappings are merged key by key, lists and values are replaced.
      - **`--set path.to.key=value`** on the command line overrides a key; the value is YAML. An
        element of a list is addressed by its index: `--set stages.0.steps=10`.
      - **Steps** are counted from 0.
      - The **resolved configuration**, with every key and default, is saved in the run's folder and
        with every checkpoint; it can be trained from as it is.

      """;

  private ConfigurationDocs() {}

  /** The whole page in Markdown. */
  public static String markdown() {
    return INTRODUCTION + ConfigurationReference.tables(RunConfig.class);
  }

  /** Writes the page. */
  public static void write(Path file) throws IOException {
    Files.writeString(file, markdown());
  }
}
