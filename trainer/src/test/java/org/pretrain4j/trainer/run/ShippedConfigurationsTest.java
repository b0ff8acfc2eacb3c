package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.data.DatasetConfig;
import org.pretrain4j.trainer.optim.ScheduleConfig;

class ShippedConfigurationsTest {
  private static final Path CONFIGS = Path.of("..", "configs");

  private static RunConfig read(String name) {
    return ConfigurationReader.read(RunConfig.class, CONFIGS.resolve(name), List.of());
  }

  static List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(CONFIGS)) {
      return files.filter(file -> file.toString().endsWith(".yaml")).sorted().toList();
    }
  }

  @Test
  void thePromisedFilesAreThere() throws IOException {
    assertTrue(
        files().stream()
            .map(file -> file.getFileName().toString())
            .toList()
            .containsAll(List.of("quickstart.yaml", "smollm3-135m.yaml", "smollm3-3b.yaml")));
  }

  @ParameterizedTest
  @MethodSource("files")
  void everyFileIsReadStrictlyAndItsResolvedFormReadsBackEqual(Path file) {
    RunConfig run = ConfigurationReader.read(RunConfig.class, file, List.of());
    assertEquals(file.getFileName().toString(), run.name() + ".yaml");
    String resolved = ConfigurationWriter.toYaml(run);
    assertEquals(run, ConfigurationReader.parse(RunConfig.class, resolved, "resolved.yaml"));
  }

  @Test
  void theQuickstartHasThreeStagesAndDecaysInTheLast() {
    RunConfig run = read("quickstart.yaml");
    assertEquals(3, run.stages().size());
    assertEquals(Optional.of(run.stageFirstStep(2)), run.schedule().decayStartStep());
    assertEquals(Optional.of(run.stageSteps(2)), run.schedule().decaySteps());
    assertEquals(
        Map.of("web", 0.85, "code", 0.12, "math", 0.03), run.stages().getFirst().mixture());
    assertEquals(List.of("web", "code", "math"), List.copyOf(run.data().datasets().keySet()));
    assertEquals("runs/quickstart", run.runFolder().orElseThrow());
    assertEquals("runs/quickstart/checkpoints", run.checkpoints().folder().orElseThrow());
  }

  @Test
  void the135MHasTheSizesOfItsName() {
    RunConfig run = read("smollm3-135m.yaml");
    assertEquals(64, run.model().headDim());
    assertEquals(134_515_008, run.model().parameterCount());
  }

  @Test
  void the3BHasThePublishedSizes() {
    RunConfig run = read("smollm3-3b.yaml");
    assertEquals(3_075_098_624L, run.model().parameterCount());
    assertEquals(128, run.model().headDim());
    assertEquals(4_720_000, run.totalSteps());
    assertEquals(576, run.rowsPerStep());
    assertEquals(11_135_877_120_000L, run.totalTokens());
    assertEquals(3_450_000, run.stageFirstStep(1));
    assertEquals(4_198_000, run.stageFirstStep(2));
    assertEquals(522_000, run.stageSteps(2));
    assertEquals(6, run.seed());
    assertEquals(384, run.parallelism().ranks());
    assertEquals(2e-4, run.optimizer().learningRate());
    assertEquals(
        new ScheduleConfig(
            ScheduleConfig.Type.WSD,
            2000,
            Optional.of(4_198_001L),
            Optional.of(522_000L),
            Optional.of(ScheduleConfig.DecayShape.LINEAR),
            0),
        run.schedule());
  }

  @ParameterizedTest
  @CsvSource({"0, 41, 1.0", "1, 46, 1.00005", "2, 56, 1.00565"})
  void the3BHasThePublishedMixtures(int stage, int datasets, double sum) {
    StageConfig config = read("smollm3-3b.yaml").stages().get(stage);
    assertEquals(datasets, config.mixture().size());
    assertEquals(sum, sum(config.mixture()), 1e-12);
    assertEquals(1, sum(config.shares()), 1e-12);
  }

  /** Published total of the run per dataset in billions of tokens, and weights of single stages. */
  @ParameterizedTest
  @CsvSource({
    "fineweb-edu, 3484.80",
    "dclm, 3961.37",
    "pes2o, 193.48",
    "wiki, 10.15",
    "stackexchange, 37.31",
    "fw2-deu, 248.18",
    "fw2-vie, 26.60",
    "mwiki, 9.80",
    "infiwebmath, 101.49",
    "finemath, 158.47",
    "megamath-text-code-block, 96.52",
    "dolmino_math_synth_basic, 0.24",
    "stack-v2-Python, 203.49",
    "stack-v2-HTML, 59.67",
    "pull-requests, 75.08",
    "stack-edu-Python, 129.84",
    "stack-edu-Markdown, 16.91",
    "opencodereasoning-4k, 0.61",
    "natural_reasoning, 1.22"
  })
  void the3BReadsThePublishedTokensOfEachDataset(String dataset, double billions) {
    RunConfig run = read("smollm3-3b.yaml");
    Map<String, Double> tokens = new HashMap<>();
    for (int i = 0; i < 3; i++) {
      double stageTokens = (double) run.stageSteps(i) * run.training().globalBatchTokens();
      run.stages()
          .get(i)
          .shares()
          .forEach((name, share) -> tokens.merge(name, share * stageTokens, Double::sum));
    }
    assertEquals(billions, tokens.get(dataset) / 1e9, 0.00501);
  }

  @Test
  void the3BReadsEveryDatasetOfItsListFromShards() {
    RunConfig run = read("smollm3-3b.yaml");
    for (Map.Entry<String, DatasetConfig> dataset : run.data().datasets().entrySet()) {
      assertEquals(
          Optional.of("hdfs://namenode/data/smollm3/" + dataset.getKey()),
          dataset.getValue().shards());
      assertFalse(
          run.stages().stream().noneMatch(stage -> stage.mixture().containsKey(dataset.getKey())),
          dataset.getKey() + " is in no stage");
    }
  }

  private static double sum(Map<String, Double> weights) {
    return weights.values().stream().mapToDouble(Double::doubleValue).sum();
  }
}
