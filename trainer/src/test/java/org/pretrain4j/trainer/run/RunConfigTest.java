package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.pretrain4j.configuration.ConfigurationException;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.trainer.model.FusedOperator;
import org.pretrain4j.trainer.optim.ScheduleConfig;

class RunConfigTest {
  private static final String RUN =
      """
      name: tiny
      model:
        vocab_size: 320
        hidden_size: 64
        intermediate_size: 128
        num_hidden_layers: 4
        num_attention_heads: 4
        num_key_value_heads: 2
        max_position_embeddings: 128
      tokenizer: {path: tokenizer.json, end_of_document: "<|end_of_text|>"}
      data:
        datasets:
          web: {text: ["*.md"]}
          math: {synthetic: arithmetic, documents: 10}
      stages:
        - {name: one, steps: 60, mixture: {web: 3, math: 1}}
        - {name: two, tokens: 10_241, mixture: {math: 1}}
      training: {sequence_length: 128, global_batch_tokens: 512, micro_batch_size: 2}
      optimizer: {learning_rate: 1e-3}
      schedule: {warmup_steps: 5}
      checkpoints: {every_steps: 10}
      """;

  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void write() throws IOException {
    file = Files.writeString(folder.resolve("run.yaml"), RUN);
  }

  private RunConfig read(String... settings) {
    return ConfigurationReader.read(RunConfig.class, file, List.of(settings));
  }

  private String errorOf(String... settings) {
    String message =
        assertThrows(ConfigurationException.class, () -> read(settings), Arrays.toString(settings))
            .getMessage();
    for (String setting : settings) {
      message = message.replace("--set " + setting + ": ", "");
    }
    return message.replace(file + ":", "line ");
  }

  @Test
  void fusedOperatorsAreSwitchedOffOneByOneAndOnlyWhereThereAreSome() {
    TrainingConfig training = read("training.composed_operators=[norm, cross_entropy]").training();
    assertEquals(
        List.of(FusedOperator.NORM, FusedOperator.CROSS_ENTROPY), training.composedOperators());
    String error = errorOf("training.kernels=composed", "training.composed_operators=[norm]");
    assertTrue(
        error.contains(
            "training.composed_operators is set, but kernels: composed has no fused operators:"
                + " remove one of the two"),
        error);
  }

  @Test
  void whatFollowsFromOtherKeysIsFilledIn() {
    RunConfig run = read();
    assertEquals(Optional.of("runs/tiny"), run.runFolder());
    assertEquals(Optional.of("runs/tiny/data"), run.data().preparedFolder());
    assertEquals(Optional.of("runs/tiny/checkpoints"), run.checkpoints().folder());
    assertEquals(6, run.seed());
    assertEquals(16, run.model().headDim());
    assertEquals(1, run.parallelism().ranks());
    assertEquals(4, run.rowsPerStep());
    assertEquals(Optional.of(5L), run.schedule().decayStartStep());
    assertEquals(Optional.of(76L), run.schedule().decaySteps());
    assertEquals(Optional.of(ScheduleConfig.DecayShape.LINEAR), run.schedule().decayShape());
  }

  @Test
  void foldersFollowTheRunFolderUnlessGiven() {
    RunConfig run = read("run_folder=hdfs://nn/r", "checkpoints.folder=s3a://b/c");
    assertEquals(Optional.of("hdfs://nn/r/data"), run.data().preparedFolder());
    assertEquals(Optional.of("s3a://b/c"), run.checkpoints().folder());
  }

  @Test
  void aLengthInTokensIsRoundedUpToWholeSteps() {
    RunConfig run = read();
    assertEquals(60, run.stageSteps(0));
    assertEquals(21, run.stageSteps(1), "10241 tokens are 20 steps of 512 and one token");
    assertEquals(20, read("stages.1.tokens=10240").stageSteps(1));
    assertEquals(81, run.totalSteps());
    assertEquals(60, run.stageFirstStep(1));
    assertEquals(81 * 512, run.totalTokens());
  }

  @Test
  void weightsAreDividedByTheirSum() {
    assertEquals(Map.of("web", 0.75, "math", 0.25), read().stages().getFirst().shares());
  }

  @Test
  void aDecayStartLeavesTheDecayStepsAsInThePublishedFunction() {
    ScheduleConfig schedule = read("schedule.decay_start_step=40").schedule();
    assertEquals(Optional.of(81L - 5 - 40), schedule.decaySteps());
  }

  @Test
  void aDecayMayEndOneStepAfterTheRunAndNoLater() {
    assertEquals(
        Optional.of(42L),
        read("schedule.decay_start_step=40", "schedule.decay_steps=42").schedule().decaySteps());
    assertEquals(
        "schedule.decay_steps is 43, expected 0 to 42 as the run has 81 steps and the decay starts"
            + " at step 40",
        errorOf("schedule.decay_start_step=40", "schedule.decay_steps=43"));
  }

  @Test
  void aCosineScheduleDecaysFromTheWarmupToTheEnd() {
    assertEquals(
        new ScheduleConfig(
            ScheduleConfig.Type.COSINE,
            5,
            Optional.of(5L),
            Optional.of(76L),
            Optional.of(ScheduleConfig.DecayShape.COSINE),
            1e-5),
        read("schedule.type=cosine", "schedule.min_learning_rate=1e-5").schedule());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "model.num_attention_heads=5 | model.num_attention_heads is 5, expected a divisor of"
            + " hidden_size 64 (or give head_dim)",
        "model.num_key_value_heads=3 | model.num_key_value_heads is 3, expected a divisor of"
            + " num_attention_heads 4",
        "model.num_key_value_heads=8 | model.num_key_value_heads is 8, expected a divisor of"
            + " num_attention_heads 4",
        "model.head_dim=15 | model.head_dim is 15, expected an even number",
        "model.head_dim=-2 | model.head_dim is -2, expected a whole number of at least 0",
        "model.num_attention_heads=64 | line 2: model.head_dim is 1, expected an even number: choose"
            + " hidden_size and num_attention_heads so that their quotient is even",
        "model.vocab_size=0 | model.vocab_size is 0, expected a whole number of at least 1",
        "model.num_attention_heads=0 | model.num_attention_heads is 0, expected a whole number of"
            + " at least 1",
        "model.rope_theta=0 | model.rope_theta is 0.0, expected a finite number above 0",
        "model.no_rope_layer_interval=-1 | model.no_rope_layer_interval is -1, expected a whole"
            + " number of at least 0",
        "model.tie_word_embeddings=1 | model.tie_word_embeddings is 1, expected true or false",
        "model.max_position_embeddings=127 | line 18: training.sequence_length is 128, expected at"
            + " most model.max_position_embeddings 127",
        "training.sequence_length=0 | training.sequence_length is 0, expected a whole number of at"
            + " least 1",
        "training.global_batch_tokens=500 | training.global_batch_tokens is 500, expected a multiple"
            + " of sequence_length 128, such as 384",
        "training.global_batch_tokens=100 | training.global_batch_tokens is 100, expected a multiple"
            + " of sequence_length 128, such as 128",
        "training.micro_batch_size=0 | training.micro_batch_size is 0, expected a whole number of"
            + " at least 1",
        "training.precision=fp16 | training.precision is \"fp16\", expected one of bf16, fp32",
        "training.composed_operators=[norms] | training.composed_operators[0] is \"norms\", expected"
            + " one of embedding, norm, rotary, swiglu, attention, products, cross_entropy; did you"
            + " mean norm?",
        "training.composed_operators=norm | training.composed_operators is \"norm\", expected a list:"
            + " write [a, b], or a line with '- ' for each element",
        "training.max_skipped_steps=-1 | training.max_skipped_steps is -1, expected a whole number"
            + " of at least 0",
        "optimizer.learning_rate=.nan | optimizer.learning_rate is .nan, expected a finite number"
            + " such as 0.9, 3 or 2e-4",
        "optimizer.learning_rate=0 | optimizer.learning_rate is 0.0, expected a finite number above"
            + " 0",
        "optimizer.beta1=1 | optimizer.beta1 is 1.0, expected a number from 0.0 to below 1.0",
        "optimizer.weight_decay_exclude=[\"(\"] | optimizer.weight_decay_exclude[0] is \"(\","
            + " expected a regular expression such as .*embed_tokens.*",
        "schedule.warmup_steps=82 | schedule.warmup_steps is 82, expected at most the run's 81"
            + " steps",
        "schedule.decay_start_step=4 | schedule.decay_start_step is 4, expected at least"
            + " warmup_steps 5",
        "schedule.decay_start_step=82 | schedule.decay_start_step is 82, expected at most the run's"
            + " 81 steps",
        "schedule.decay_start_step=80 | line 20: schedule.decay_steps is -4 by default, expected 0 to 2 as the"
            + " run has 81 steps and the decay starts at step 80",
        "schedule.min_learning_rate=1 | schedule.min_learning_rate is 1.0, expected at most"
            + " optimizer.learning_rate 0.001",
        "parallelism.ranks=0 | parallelism.ranks is 0, expected a whole number of at least 1",
        "checkpoints.keep_last=0 | checkpoints.keep_last is 0, expected a whole number of at least"
            + " 1",
        "stages=[] | stages needs at least one stage",
        "stages.1.name=one | stages[1].name is \"one\", expected a name that no other stage has, but"
            + " stages[0] has it",
        "stages.0.steps=null | line 16: stages[0] needs a length: add steps or tokens",
        "stages.0.tokens=1K | stages[0].tokens is given together with steps: keep one of the two",
        "stages.0.steps=0 | stages[0].steps is 0, expected a whole number of at least 1",
        "stages.0.mixture={} | stages[0].mixture needs at least one dataset",
        "stages.0.mixture.wbe=1 | stages[0].mixture.wbe names no dataset of data.datasets; did you"
            + " mean web?",
        "stages.0.mixture.books=1 | stages[0].mixture.books names no dataset of data.datasets; valid"
            + " are math, web",
        "stages.0.mixture.web=0 | stages[0].mixture.web is 0.0, expected a finite number above 0",
        "stages.0.mixture.web=-1 | stages[0].mixture.web is -1.0, expected a finite number above 0",
        "stages.0.mixture={web: 1e308, math: 1e308} | stages[0].mixture has weights whose sum is not"
            + " finite: make them smaller",
        "data.datasets={} | data.datasets needs at least one dataset",
        "data.datasets.web.shards=x | data.datasets.web needs exactly one of text, shards and"
            + " synthetic, but has 2",
        "data.datasets.web.text=[] | data.datasets.web needs exactly one of text, shards and"
            + " synthetic, but has 0",
        "data.datasets.web.documents=3 | data.datasets.web.documents goes with synthetic only:"
            + " delete it",
        "data.datasets.math.documents=null | data.datasets.math.synthetic needs documents as well:"
            + " add documents: 1000",
        "data.datasets.web.format=json | data.datasets.web.format is \"json\", expected one of auto, text,"
            + " jsonl, parquet, arrow; did you mean jsonl?",
        "data.read_ahead_steps=0 | data.read_ahead_steps is 0, expected a whole number of at least"
            + " 1",
      })
  void anImpossibleValueIsNamedWithWhatWasExpected(String setting, String message) {
    String error = errorOf(setting);
    assertEquals(message, error.replaceFirst("^line \\d+: (?=data|stages\\[0\\].mix)", ""));
  }

  @ParameterizedTest
  @ValueSource(strings = {"a/b", "..", "-x", "a b"})
  void namesOfRunsStagesAndDatasetsAreSafeAsFolders(String name) {
    for (String key : List.of("name", "stages.0.name")) {
      assertEquals(1, errorOf(key + "=\"" + name + "\"").lines().count());
    }
    assertEquals(
        1,
        errorOf(
                "data.datasets={web: {text: [a]}, math: {text: [a]}, \""
                    + name
                    + "\": {text: [a]}}")
            .lines()
            .count());
  }

  @Test
  void aRunWhoseTokensCannotBeCountedIsRefused() {
    String error = errorOf("stages.0.steps=9000000T");
    assertEquals(true, error.startsWith("line 15: stages are "), error);
    assertEquals(true, error.contains("tokens long, which is more than a run can count"), error);
  }

  @Test
  void allThatIsWrongIsReportedAtOnceAcrossRecords() {
    assertEquals(
        """
        optimizr is not a key; did you mean optimizer?
        line 7: model.num_attention_heads is 4, expected a divisor of hidden_size 66 (or give head_dim)
        line 16: stages[0].mixture.web names no dataset of data.datasets; valid are math
        line 18: training.sequence_length is 128, expected at most model.max_position_embeddings 64"""
            .lines()
            .filter(line -> !line.contains("sequence_length"))
            .reduce((a, b) -> a + "\n" + b)
            .orElseThrow(),
        errorOf(
            "optimizr.learning_rate=1",
            "model.hidden_size=66",
            "data.datasets={math: {shards: x}}",
            "model.max_position_embeddings=64"));
  }
}
