package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.ArithmeticInput;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;

/** Whole runs over shards of which one is damaged, another missing. */
final class DamagedShardsTest {
  private static final int STEPS = 12;

  @TempDir private Path temp;
  private Path shards;

  @BeforeEach
  void tokenize() {
    shards = temp.resolve("shards");
    Storage storage = new Storage(new Configuration());
    try (Tokenizer tokenizer =
        Tokenizer.load(storage, "../configs/tokenizers/bytes/tokenizer.json", "<|end_of_text|>")) {
      new TokenizeJob(
              storage,
              tokenizer,
              List.of(new ArithmeticInput(300, 3)),
              storage.path(shards.toUri().toString()),
              new TokenizeOptions(4000, 512, 0, 1, 1),
              PreparationListener.NONE)
          .run();
    }
  }

  private SmallRun run(String name, int ranks, String onDamage) {
    return new SmallRun(temp.resolve(name), STEPS, "fp32", ranks, 4)
        .with(
            "shards: null\n      synthetic: \"arithmetic\"\n      documents: 200",
            "shards: \"" + shards + "\"")
        .with("on_damage: \"stop\"", "on_damage: \"" + onDamage + "\"")
        .with("read_attempts: 3", "read_attempts: 1");
  }

  private void damage() throws IOException {
    Path bad = shards.resolve("shard-00001.arrow");
    byte[] bytes = Files.readAllBytes(bad);
    for (int at = bytes.length / 4; at < bytes.length / 2; at += 50) {
      bytes[at] ^= 4;
    }
    Files.write(bad, bytes);
    Files.delete(shards.resolve("shard-00003.arrow"));
  }

  private static void assertAlike(List<Double> expected, List<Double> actual) {
    for (int step = 0; step < STEPS; step++) {
      assertEquals(expected.get(step), actual.get(step), 2e-5 * expected.get(step), "step " + step);
    }
  }

  /** Trains; the substituted rows of each step. */
  private static List<Long> substitutedRows(SmallRun run) {
    List<Long> rows = new ArrayList<>();
    assertTrue(run.train(Resume.AUTO, metrics -> rows.add(metrics.substitutedRows())).complete());
    return rows;
  }

  @Test
  void substitutesAreTheSameAtEveryNumberOfRanksAndAfterEveryResume() throws IOException {
    SmallRun healthy = run("healthy", 1, "substitute");
    assertEquals(Collections.nCopies(STEPS, 0L), substitutedRows(healthy));
    Path kept = temp.resolve("kept");
    Files.copy(shards.resolve("shard-00003.arrow"), kept);
    damage();
    SmallRun whole = run("whole", 1, "substitute");
    List<Long> substituted = substitutedRows(whole);
    assertEquals(STEPS, substituted.size());
    assertTrue(substituted.stream().anyMatch(rows -> rows > 0), substituted::toString);
    assertTrue(substituted.stream().allMatch(rows -> rows <= 8), substituted::toString);
    assertTrue(substituted.contains(0L), substituted::toString);
    assertNotEquals(healthy.losses(), whole.losses(), "no damaged sequence was read");
    try (var entries = Files.list(temp.resolve("whole/quarantine"))) {
      List<String> names = entries.map(file -> file.getFileName().toString()).toList();
      assertTrue(
          names.stream().anyMatch(name -> name.startsWith("shard-00003.arrow--1")),
          names::toString);
      assertTrue(
          names.stream().anyMatch(name -> name.startsWith("shard-00001.arrow-")), names::toString);
    }
    for (int ranks : new int[] {2, 4}) {
      SmallRun shared = run("ranks" + ranks, ranks, "substitute");
      assertEquals(substituted, substitutedRows(shared), "those of all ranks count");
      assertAlike(whole.losses(), shared.losses());
    }

    SmallRun resumed = run("resumed", 1, "substitute");
    for (long until : new long[] {3, 8}) {
      StopRequest stop = new StopRequest();
      resumed.train(
          Resume.AUTO,
          stop,
          metrics -> {
            if (metrics.step() == until) {
              stop.stop();
            }
          });
    }
    // Even if the missing file comes back: what was left out stays out.
    Files.copy(kept, shards.resolve("shard-00003.arrow"));
    resumed.train();
    assertEquals(whole.losses(), resumed.losses());
    assertEquals(whole.stateHash(), resumed.stateHash());
  }

  @Test
  void withoutSubstitutionTheRunStopsAndNamesTheFile() throws IOException {
    damage();
    UserException missing = assertThrows(UserException.class, run("stop", 1, "stop")::train);
    assertTrue(missing.getMessage().contains("shard-00003.arrow"), missing.getMessage());
    Files.copy(shards.resolve("shard-00002.arrow"), shards.resolve("shard-00003.arrow"));
    UserException swapped = assertThrows(UserException.class, run("stop", 2, "stop")::train);
    assertTrue(swapped.getMessage().contains("shard-0000"), swapped.getMessage());
    assertEquals(1, swapped.getMessage().lines().count(), swapped.getMessage());
  }
}
