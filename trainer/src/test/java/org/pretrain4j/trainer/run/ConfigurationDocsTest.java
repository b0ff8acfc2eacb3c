package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigurationDocsTest {

  @Test
  void thePageInTheRepositoryIsWhatTheRecordsSay() throws IOException {
    Path page = Path.of("..", "docs", "configuration.md");
    ConfigurationDocs.write(Path.of("target", "configuration.md"));
    assertEquals(
        ConfigurationDocs.markdown(),
        Files.exists(page) ? Files.readString(page) : "",
        "docs/configuration.md is out of date; write it again with:"
            + " cp trainer/target/configuration.md docs/configuration.md");
  }

  @Test
  void aTableShowsKeyTypeDefaultAndMeaning() {
    String page = ConfigurationDocs.markdown();
    assertTrue(page.contains("| `beta2` | number | `0.95` | Decay of the second moment |"), page);
    assertTrue(
        page.contains("| `head_dim` | whole number | hidden_size / num_attention_heads |"), page);
    assertTrue(page.contains("\n## `data.datasets.<name>`\n"), page);
    assertTrue(page.contains("\n## `stages[]`\n"), page);
    assertTrue(page.contains("`linear` \\| `cosine` \\| `1-sqrt`"), page);
  }

  @Test
  void thePageIsWrittenWhereAsked(@TempDir Path folder) throws IOException {
    ConfigurationDocs.write(folder.resolve("configuration.md"));
    assertEquals(
        ConfigurationDocs.markdown(), Files.readString(folder.resolve("configuration.md")));
  }
}
