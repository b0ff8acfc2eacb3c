package org.pretrain4j.trainer.fused;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.ModelConfig;

class LogitChunksTest {
  /** By hand: the 3B's vocabulary fits 1,046 times into 2^27, the 135M's 2,730 times. */
  @ParameterizedTest
  @CsvSource({
    "128256, 4096, 1024",
    "128256, 1046, 523",
    "49152, 2048, 1024",
    "49152, 1024, 1024",
    "49152, 8192, 2048",
    "49152, 1025, 513",
    "10000000, 130, 44",
    "10000000, 64, 64",
    "320, 0, 0"
  })
  void chunksAreOfOneSizeWithinTheirBounds(long vocabulary, long tokens, long chunk) {
    assertEquals(chunk, LogitChunks.tokens(vocabulary, tokens));
  }

  @Test
  void aMicroBatchOfManyTokensNeverHasRoomForAllItsLogits() {
    ModelConfig model = new ModelConfig(320, 32, 48, 2, 4, 2, 0, 50_000, 4, 1e-6, 0.02, 8192, true);
    for (int tokens = 1; tokens < 6000; tokens += 613) {
      try (NDManager manager = Managers.host()) {
        Workspace space =
            new Workspace(
                manager,
                model,
                ActivationCheckpointing.NONE,
                ScalarType.BFLOAT16,
                ScalarType.FLOAT32,
                tokens,
                LogitChunks.mostTokens(320));
        assertTrue(tokens <= 1024 || 2 * space.logits.rows() <= tokens + 1, tokens + " tokens");
        assertEquals(LogitChunks.tokens(320, tokens), space.logits.rows());
      }
    }
  }
}
