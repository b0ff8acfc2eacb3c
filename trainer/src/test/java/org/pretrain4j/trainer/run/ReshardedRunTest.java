package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.data.stream.Row;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.InProcessGroup;

/** What ranks read and load when a run goes on with another number of them, up to the largest. */
@Tag("slow")
final class ReshardedRunTest {
  @TempDir private Path temp;

  @Test
  void fourRanksThenTwoThreeAndOneReadTheSameTokensAndLoadTheSameBits() throws Exception {
    Path folder = temp.resolve("changing");
    int[] worlds = {4, 2, 3, 1};
    int stepsEach = 4;
    int steps = stepsEach * worlds.length;
    SmallRun whole = new SmallRun(temp.resolve("whole"), steps, "fp32", 1, 100);
    TokenStream stream = RunData.open(whole.config(), PreparationListener.NONE);
    MessageDigest expected = MessageDigest.getInstance("SHA-256");
    // What the ranks trained on, by step and rank.
    Map<Long, List<Row>> read = new ConcurrentSkipListMap<>();
    for (int i = 0; i < worlds.length; i++) {
      SmallRun run = new SmallRun(folder, steps, "fp32", worlds[i], stepsEach);
      if (i > 0) {
        Checkpoint newest = run.store().open((long) i * stepsEach);
        assertEquals(
            run.stateHash(), loadedHash(run.config(), newest, stream), "loaded by " + worlds[i]);
      }
      StopRequest stop = new StopRequest();
      long until = (long) (i + 1) * stepsEach - 1;
      TrainingListener listener =
          new TrainingListener() {
            @Override
            public void step(StepMetrics metrics) {
              if (metrics.step() == until && metrics.step() < steps - 1) {
                stop.stop();
              }
            }

            @Override
            public void rows(long step, int rank, List<Row> rows) {
              // In the order of steps and then of ranks, each once.
              assertNull(read.put(step * 10_000 + rank, rows));
            }
          };
      new Trainer(run.config(), new TrainingOptions(Resume.AUTO, stop), listener).run();
      addRows(expected, stream, i * stepsEach, stepsEach);
    }
    assertEquals(stepsEach * Arrays.stream(worlds).sum(), read.size());
    MessageDigest actual = MessageDigest.getInstance("SHA-256");
    read.values().forEach(rows -> rows.forEach(row -> add(actual, row)));
    assertEquals(
        HexFormat.of().formatHex(expected.digest()), HexFormat.of().formatHex(actual.digest()));
    SmallRun last = new SmallRun(folder, steps, "fp32", 1, stepsEach);
    whole.train();
    for (int step = 0; step < steps; step++) {
      double loss = whole.losses().get(step);
      assertEquals(loss, last.losses().get(step), 2e-5 * loss, "step " + (step + 1));
    }
  }

  /** The tokens of the global batches of some steps. */
  private static void addRows(MessageDigest digest, TokenStream stream, long firstStep, int steps) {
    for (long step = firstStep; step < firstStep + steps; step++) {
      for (int row = 0; row < stream.plan().rowsPerStep(); row++) {
        add(digest, stream.row(step, row));
      }
    }
  }

  private static void add(MessageDigest digest, Row row) {
    ByteBuffer bytes = ByteBuffer.allocate(Integer.BYTES * row.tokens().length);
    bytes.asIntBuffer().put(row.tokens());
    digest.update(bytes);
  }

  /** As {@link SmallRun#stateHash}, but of what the ranks hold once they have loaded. */
  private static String loadedHash(RunConfig config, Checkpoint checkpoint, TokenStream stream)
      throws Exception {
    int ranks = config.parallelism().ranks();
    int elements = Math.toIntExact(checkpoint.layout().elements());
    Map<String, float[]> kinds = new TreeMap<>();
    checkpoint.kinds().forEach(kind -> kinds.put(kind, new float[elements]));
    kinds.values().forEach(values -> Arrays.fill(values, Float.NaN));
    try (RankSigns signs = RankSigns.start(config, Map.of(), 0, ranks, ranks)) {
      InProcessGroup.run(
          ranks,
          Duration.ofMinutes(2),
          engine -> {
            Collectives collectives = signs.watch(engine);
            try (RankTrainer rank =
                new RankTrainer(config, collectives, signs, stream, ComputeDevice.host(1))) {
              rank.start(
                  Optional.of(checkpoint),
                  new LongWork(collectives, new StopRequest(), Duration.ofMinutes(2)));
              rank.shard().values().forEach((kind, values) -> place(rank, values, kinds.get(kind)));
            }
          });
    }
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    for (String kind : checkpoint.kinds()) {
      ByteBuffer bytes =
          ByteBuffer.allocate(Float.BYTES * elements).order(java.nio.ByteOrder.nativeOrder());
      bytes.asFloatBuffer().put(kinds.get(kind));
      digest.update(bytes);
    }
    return checkpoint.step() + ":" + HexFormat.of().formatHex(digest.digest());
  }

  /** A rank's packed values to their places in the flat space. */
  private static void place(RankTrainer rank, MemorySegment packed, float[] flat) {
    long from = 0;
    for (FlatRange range : rank.shard().ranges()) {
      MemorySegment.copy(
          packed,
          ValueLayout.JAVA_FLOAT,
          from * Float.BYTES,
          flat,
          Math.toIntExact(range.start()),
          Math.toIntExact(range.length()));
      from += range.length();
    }
  }

  @Test
  void asManyRanksAsTheLargestRunTakeTenStepsSaveAndGoOn() throws Exception {
    SmallRun one = large("one", 1, 11);
    one.train();
    SmallRun many = large("many", 384, 11);
    StopRequest stop = new StopRequest();
    TrainingResult first =
        many.train(
            Resume.AUTO,
            stop,
            metrics -> {
              if (metrics.step() == 9) {
                stop.stop();
              }
            });
    assertEquals(10, first.steps());
    Checkpoint saved = many.store().open(10);
    TokenStream stream = RunData.open(many.config(), PreparationListener.NONE);
    assertEquals(many.stateHash(), loadedHash(many.config(), saved, stream));
    assertTrue(many.train().complete());
    for (int step = 0; step < 11; step++) {
      double loss = one.losses().get(step);
      assertEquals(loss, many.losses().get(step), 2e-5 * loss, "step " + (step + 1));
    }
    assertEquals(0.25, many.metrics().getLast().get("idle_share").doubleValue());
  }

  /** The reference run's 576 rows a step, of a very small model. */
  private SmallRun large(String name, int ranks, int steps) {
    return new SmallRun(temp.resolve(name), steps, "fp32", ranks, 100)
        .with("sequence_length: 64", "sequence_length: 16")
        .with("global_batch_tokens: 512", "global_batch_tokens: " + 576 * 16)
        .with("hidden_size: 32", "hidden_size: 16")
        .with("head_dim: 8", "head_dim: 4");
  }
}
