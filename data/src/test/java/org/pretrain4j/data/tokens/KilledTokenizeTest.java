package org.pretrain4j.data.tokens;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.KilledProcess;
import org.pretrain4j.data.text.ArithmeticInput;

@Tag("slow")
class KilledTokenizeTest {
  @TempDir Path folder;

  /** The process that is killed. */
  static final class Job {
    private Job() {}

    public static void main(String[] arguments) {
      try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
        System.out.println(KilledProcess.STARTED);
        run(tokenizer, Path.of(arguments[0]));
      }
    }
  }

  private static void run(Tokenizer tokenizer, Path output) {
    new TokenizeJob(
            Fixtures.STORAGE,
            tokenizer,
            List.of(new ArithmeticInput(6000, 1), new ArithmeticInput(6000, 2)),
            Fixtures.hadoop(output),
            new TokenizeOptions(20_000, 4096, 0, 1, 2),
            PreparationListener.NONE)
        .run();
  }

  @Test
  void theResultOfAKilledJobIsThatOfAnUndisturbedOne() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    Path whole = folder.resolve("whole");
    Path killed = folder.resolve("killed");
    try (Tokenizer tokenizer = Fixtures.bytesTokenizer()) {
      run(tokenizer, whole);
    }
    int kills =
        KilledProcess.run(Job.class, Integer.getInteger("kills", 2), 400, seed, killed.toString());
    System.out.println("seed " + seed + ": killed " + kills + " times");
    int compared = 0;
    try (var files = Files.list(whole)) {
      for (Path file : files.toList()) {
        if (!file.getFileName().toString().startsWith(".")) {
          assertEquals(
              -1, Files.mismatch(file, killed.resolve(file.getFileName())), "seed " + seed + file);
          compared++;
        }
      }
    }
    assertTrue(compared > 50, compared + " files");
    try (var files = Files.list(killed)) {
      assertEquals(
          List.of(),
          files.filter(file -> file.toString().endsWith(".tmp")).toList(),
          "seed " + seed);
    }
  }
}
