package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a user may get wrong ends with one line that says what and how to mend it. */
class BadInputTest {
  @TempDir Path folder;

  @BeforeEach
  void writeRun() {
    TinyRun.write(folder);
  }

  private String train(String... settings) {
    String[] arguments = new String[2 + 2 * settings.length];
    arguments[0] = "train";
    arguments[1] = TinyRun.CONFIG;
    for (int i = 0; i < settings.length; i++) {
      arguments[2 + 2 * i] = "--set";
      arguments[3 + 2 * i] = settings[i];
    }
    return Cli.run(folder, arguments).error(ExitCode.USAGE);
  }

  private void tokenize(Path tokenizer) {
    Cli.run(
            folder,
            "tokenize",
            "--tokenizer",
            tokenizer.toString(),
            "--output",
            "shards",
            folder.resolve("web.txt").toString())
        .ok();
  }

  @Test
  void aMissingConfiguration() {
    String error = Cli.run(folder, "train", "nowhere.yaml").error(ExitCode.USAGE);
    assertTrue(error.contains("nowhere.yaml"), error);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "training.sequence_length=0 | training.sequence_length",
        "optimizer.learning_rate=fast | optimizer.learning_rate",
        "optimizer.learning_rat=1e-3 | learning_rate",
        "optimizer.learning_rate=.nan | optimizer.learning_rate",
        "stages.0.mixture.wbe=1 | web",
        "stages.0.mixture.math=1e-9 | less than a millionth",
        "training={sequence_length: 1, global_batch_tokens: 3000000000, micro_batch_size: 1} | rows",
        "model.vocab_size=200 | model.vocab_size",
        "optimizer.weight_decay_exclude=[nothing] | nothing",
      })
  void aConfigurationThatCannotBe(String setting, String named) {
    String error =
        Cli.run(folder, "validate", TinyRun.CONFIG, "--set", setting).error(ExitCode.USAGE);
    assertTrue(error.contains(named), error);
  }

  @Test
  void anEmptyText() throws IOException {
    Files.writeString(folder.resolve("web.txt"), "");
    String error = train();
    assertTrue(error.contains("web.txt"), error);
  }

  @Test
  void aTextThatIsNotThere() throws IOException {
    Files.delete(folder.resolve("web.txt"));
    String error = train();
    assertTrue(error.contains("web.txt"), error);
  }

  @Test
  void aTextThatIsNotUtf8() throws IOException {
    Files.write(folder.resolve("web.txt"), new byte[] {'a', 'b', (byte) 0xff, 'c'});
    String error = train();
    assertTrue(error.contains("web.txt") && error.contains("byte 2"), error);
  }

  @Test
  void aTruncatedShard() throws IOException {
    tokenize(Cli.TOKENIZER);
    Path shard = folder.resolve("shards/shard-00000.arrow");
    try (RandomAccessFile file = new RandomAccessFile(shard.toFile(), "rw")) {
      file.setLength(file.length() - 100);
    }
    String error = train("data.datasets.web={shards: shards}");
    assertTrue(error.contains("shard-00000.arrow"), error);
  }

  @Test
  void aShardWithAFlippedByte() throws IOException {
    tokenize(Cli.TOKENIZER);
    Path shard = folder.resolve("shards/shard-00000.arrow");
    try (RandomAccessFile file = new RandomAccessFile(shard.toFile(), "rw")) {
      file.seek(file.length() / 2);
      int value = file.read();
      file.seek(file.length() / 2);
      file.write(value ^ 4);
    }
    String error = train("data.datasets.web={shards: shards}");
    assertTrue(error.contains("shard-00000.arrow"), error);
    error = Cli.run(folder, "inspect", "shards", "--verify").error(ExitCode.USAGE);
    assertTrue(error.contains("shard-00000.arrow"), error);
  }

  @Test
  void aShardMadeWithAnotherTokenizer() throws IOException {
    Path other = folder.resolve("other.json");
    Files.writeString(other, Files.readString(Cli.TOKENIZER) + "\n");
    tokenize(other);
    String error = train("data.datasets.web={shards: shards}");
    assertTrue(error.contains("another tokenizer"), error);
  }

  @Test
  void aVocabularyThatDoesNotFitBeforeTraining() {
    String error = train("model.vocab_size=200");
    assertTrue(error.contains("model.vocab_size") && error.contains("200"), error);
  }

  @Test
  void aTokenizerThatIsNotThere() {
    String error = train("tokenizer.path=nowhere.json");
    assertTrue(error.contains("nowhere.json"), error);
  }

  @Test
  void aRunFolderThatCannotBeWritten() throws IOException {
    Files.writeString(folder.resolve("file"), "no folder");
    String error = train("run_folder=file/run");
    assertTrue(error.contains("file/run"), error);
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void aFullDiskUnderTheLog() throws IOException {
    Files.createDirectories(folder.resolve("runs/tiny"));
    Files.createSymbolicLink(folder.resolve("runs/tiny/train.log"), Path.of("/dev/full"));
    Files.writeString(folder.resolve("web.txt"), "");
    Cli.Result result = Cli.run(folder, "train", TinyRun.CONFIG);
    result.error(ExitCode.USAGE);
    assertTrue(result.err().contains("train.log can't be written"), result.err());
  }

  @Test
  void nothingToInspect() {
    assertTrue(
        Cli.run(folder, "inspect", folder.toString())
            .error(ExitCode.USAGE)
            .contains("neither shards"));
  }

  @Test
  void noCheckpointToGenerateFrom() {
    String error = Cli.run(folder, "generate", "--run", ".", "--prompt", "a").error(ExitCode.USAGE);
    assertTrue(error.contains("neither config.json nor checkpoints"), error);
  }

  @Test
  void anUnknownCommandAndAnUnknownOption() {
    assertTrue(Cli.run(folder, "tarin").error(ExitCode.USAGE).contains("tarin"));
    String error = Cli.run(folder, "train", TinyRun.CONFIG, "--resum=auto").error(ExitCode.USAGE);
    assertTrue(error.contains("--resum"), error);
    assertEquals(0, Cli.run(folder, "train", "--help").code());
  }
}
