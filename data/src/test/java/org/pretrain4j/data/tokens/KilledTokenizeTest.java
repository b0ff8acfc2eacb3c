package org.pretrain4j.data.tokens;

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
        org.apache.hadoop.fs.Path output =
            Fixtures.hadoop(Path.of(arguments[0]).resolve(arguments[1]));
        System.out.println(KilledProcess.STARTED);
        new TokenizeJob(
                Fixtures.STORAGE,
                tokenizer,
                List.of(new ArithmeticInput(6000, 1), new ArithmeticInput(6000, 2)),
                output,
                new TokenizeOptions(20_000, 4096, 0, 1, 2),
                PreparationListener.NONE)
            .run();
      }
    }
  }

  @Test
  void theResultOfAKilledJobIsThatOfAnUndisturbedOne() throws Exception {
    new KilledProcess(Job.class, folder).killAndCompare(50);
  }
}
