package org.pretrain4j.data;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/** The datasets that a run's stages may mix, and how they are read. */
public record DataConfig(
    @Key(
            "The datasets by name; a stage's mixture refers to them, and one that no stage names is"
                + " never read")
        Map<String, DatasetConfig> datasets,
    @Key("How many steps the loader reads ahead of the trainer") @Default("4") int readAheadSteps,
    @Key("Folder for the shards of datasets given as text or synthetic, one folder each")
        @Default(value = "null", meaning = "`<run_folder>/data`")
        Optional<String> preparedFolder) {

  public DataConfig {
    datasets = Collections.unmodifiableMap(new LinkedHashMap<>(datasets));
    Checks checks = new Checks();
    checks.require(!datasets.isEmpty(), List.of("datasets"), "needs at least one dataset");
    for (String name : datasets.keySet()) {
      checks.folderName("datasets." + name, name);
    }
    checks.positive("read_ahead_steps", readAheadSteps);
    preparedFolder.ifPresent(folder -> checks.notBlank("prepared_folder", folder));
    checks.throwIfAny();
  }
}
