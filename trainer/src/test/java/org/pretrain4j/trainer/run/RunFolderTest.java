package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;

final class RunFolderTest {
  @TempDir private Path temp;

  private RunConfig config() {
    return new SmallRun(temp.resolve("run"), 3, "fp32", 1, 100).config();
  }

  @Test
  void aSecondProcessIsAMistakeUnlessALauncherStartedIt() {
    try (RunFolder first = RunFolder.open(config(), Duration.ZERO)) {
      UserException mistake =
          assertThrows(UserException.class, () -> RunFolder.open(config(), Duration.ZERO));
      IllegalStateException failure =
          assertThrows(
              IllegalStateException.class, () -> RunFolder.open(config(), Duration.ofMillis(300)));
      String message = "another process trains in " + first.path();
      assertTrue(mistake.getMessage().startsWith(message), mistake.getMessage());
      assertTrue(failure.getMessage().startsWith(message), failure.getMessage());
    }
  }

  @Test
  void theLockOfAProcessThatIsEndingIsWaitedFor() throws Exception {
    RunFolder ending = RunFolder.open(config(), Duration.ZERO);
    Thread end =
        Thread.ofPlatform()
            .start(
                () -> {
                  try (ending) {
                    Thread.sleep(500);
                  } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                  }
                });
    try (RunFolder next = RunFolder.open(config(), Duration.ofSeconds(30))) {
      assertEquals(temp.resolve("run"), next.path());
    }
    end.join();
  }

  @Test
  void aFolderElsewhereIsAMistake() {
    RunConfig config =
        new SmallRun(temp, 3, "fp32", 1, 100)
            .with("run_folder: \"" + temp + "\"", "run_folder: \"s3a://bucket/run\"")
            .config();
    UserException e =
        assertThrows(UserException.class, () -> RunFolder.open(config, Duration.ZERO));
    assertTrue(
        e.getMessage().startsWith("run_folder is s3a://bucket/run, expected"), e.getMessage());
  }
}
