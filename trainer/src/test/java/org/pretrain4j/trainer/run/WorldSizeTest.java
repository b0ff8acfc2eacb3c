package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.data.stream.Row;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.Pending;
import org.pretrain4j.trainer.parallel.Reduction;

/**
 * The number of ranks is a matter of speed only: of the quickstart's shape, and of the largest run.
 */
@Tag("slow")
final class WorldSizeTest {
  private static final int STEPS = 5;

  @TempDir private Path temp;

  /** The quickstart's model and sequences for a few steps of half its batch, in float32. */
  private static SmallRun quickstart(Path folder, int ranks) {
    return SmallRun.of(
        folder,
        ConfigurationReader.read(
            RunConfig.class,
            Path.of("..", "configs", "quickstart.yaml"),
            List.of(
                "run_folder=" + folder,
                "tokenizer.path=../configs/tokenizers/bytes/tokenizer.json",
                "data.datasets.web.text=[../README.md]",
                "data.datasets.code.text=[src/main/java/org/pretrain4j/trainer/run/*.java]",
                "data.datasets.math.documents=300",
                "stages.0.steps=2",
                "stages.1.steps=2",
                "stages.2.steps=1",
                "schedule={type: wsd, warmup_steps: 1, decay_start_step: 4, decay_steps: 1}",
                "training.precision=fp32",
                "training.global_batch_tokens=2048",
                "training.micro_batch_size=2",
                "parallelism={ranks: " + ranks + ", compute_threads: 1}",
                "checkpoints.every_steps=100")));
  }

  private static void assertSameLosses(List<Double> expected, List<Double> actual) {
    assertEquals(STEPS, expected.size());
    assertEquals(STEPS, actual.size());
    for (int step = 0; step < STEPS; step++) {
      double loss = expected.get(step);
      assertEquals(loss, actual.get(step), 2e-5 * loss, "step " + (step + 1));
    }
  }

  @Test
  void threadsAndMpiProcessesTrainTheQuickstartsShapeToTheSameLosses() throws Exception {
    SmallRun one = quickstart(temp.resolve("one"), 1);
    one.train();
    SmallRun two = quickstart(temp.resolve("two"), 2);
    two.train();
    SmallRun four = quickstart(temp.resolve("four"), 4);
    four.train();
    SmallRun again = quickstart(temp.resolve("again"), 4);
    again.train();
    assertSameLosses(one.losses(), two.losses());
    assertSameLosses(one.losses(), four.losses());
    assertEquals(four.losses(), again.losses());
    assertEquals(four.stateHash(), again.stateHash());

    SmallRun processes = quickstart(temp.resolve("mpi"), 2);
    mpirun(2, temp.resolve("mpi"));
    assertEquals(
        two.losses(), processes.losses(), "bit for bit, as both add in the order of ranks");
    assertEquals(two.stateHash(), processes.stateHash());
  }

  /** A rank of the quickstart's shape in a process of its own; the folder is the argument. */
  public static void main(String[] arguments) {
    quickstart(Path.of(arguments[0]), 1).train();
  }

  private void mpirun(int ranks, Path folder) throws Exception {
    boolean present =
        Stream.of(System.getenv("PATH").split(":"))
            .anyMatch(path -> Files.isExecutable(Path.of(path, "mpirun")));
    assumeTrue(present || "true".equals(System.getenv("CI")), "mpirun is missing");
    List<String> command = new ArrayList<>();
    command.addAll(List.of("mpirun", "-n", Integer.toString(ranks), "--oversubscribe"));
    command.addAll(List.of("--bind-to", "none"));
    command.addAll(List.of("--mca", "btl_vader_single_copy_mechanism", "none"));
    if (System.getProperty("user.name").equals("root")) {
      command.add("--allow-run-as-root");
    }
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(argument -> argument.startsWith("--") || argument.startsWith("-XX:CompileCommand"))
        .forEach(command::add);
    command.addAll(List.of("-XX:ActiveProcessorCount=1", "-XX:+UseSerialGC", "-Xmx512m", "-cp"));
    command.addAll(List.of(System.getProperty("java.class.path"), WorldSizeTest.class.getName()));
    command.add(folder.toString());
    Path log = temp.resolve("mpirun.log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      boolean ended = process.waitFor(4, TimeUnit.MINUTES);
      String output = Files.readString(log, StandardCharsets.UTF_8);
      assertTrue(ended, () -> "hangs: " + output);
      assertEquals(0, process.exitValue(), output);
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
    }
  }

  @Test
  void aReductionThatLosesARankFailsTheCheckOfTheLosses() throws Exception {
    List<Double> right = losses(quickstart(temp.resolve("right"), 2).config(), c -> c);
    assertSameLosses(losses(quickstart(temp.resolve("one"), 1).config(), c -> c), right);
    List<Double> wrong = losses(quickstart(temp.resolve("wrong"), 2).config(), LosesARank::new);
    assertThrows(AssertionError.class, () -> assertSameLosses(right, wrong));
  }

  private static LongWork loading(Collectives collectives) {
    return new LongWork(collectives, new StopRequest(), Duration.ofMinutes(2));
  }

  /** All steps from the first on, with collectives as they are made here. */
  private static List<Double> losses(RunConfig config, UnaryOperator<Collectives> made)
      throws Exception {
    List<Double> losses = new ArrayList<>();
    TokenStream stream = RunData.open(config, PreparationListener.NONE);
    int ranks = config.parallelism().ranks();
    try (RankSigns signs = RankSigns.start(config, Map.of(), 0, ranks, ranks)) {
      InProcessGroup.run(
          ranks,
          Duration.ofMinutes(2),
          engine -> {
            ComputeThreads.set(1);
            Collectives collectives = made.apply(signs.watch(engine));
            try (RankTrainer rank = new RankTrainer(config, collectives, signs, stream, 1)) {
              rank.start(Optional.empty(), loading(collectives));
              while (rank.stepsDone() < config.totalSteps()) {
                double loss = rank.step(false).loss();
                if (engine.rank() == 0) {
                  losses.add(loss);
                }
              }
            }
          });
    }
    return losses;
  }

  /** A deliberately wrong engine: the gradients of the last rank never arrive. */
  private record LosesARank(Collectives engine) implements Collectives {
    @Override
    public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
      if (rank() == worldSize() - 1) {
        input.segment().fill((byte) 0);
      }
      return engine.reduceScatter(input, output);
    }

    @Override
    public int rank() {
      return engine.rank();
    }

    @Override
    public int worldSize() {
      return engine.worldSize();
    }

    @Override
    public Pending allReduce(FlatBuffer buffer, Reduction reduction) {
      return engine.allReduce(buffer, reduction);
    }

    @Override
    public Pending allGather(FlatBuffer input, FlatBuffer output) {
      return engine.allGather(input, output);
    }

    @Override
    public Pending broadcast(FlatBuffer buffer, int root) {
      return engine.broadcast(buffer, root);
    }

    @Override
    public void barrier() {
      engine.barrier();
    }

    @Override
    public byte[] broadcastBytes(byte[] bytes, int root) {
      return engine.broadcastBytes(bytes, root);
    }

    @Override
    public long[] allGatherLong(long value) {
      return engine.allGatherLong(value);
    }

    @Override
    public void abort(String reason) {
      engine.abort(reason);
    }

    @Override
    public void close() {
      engine.close();
    }
  }

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
            try (RankTrainer rank = new RankTrainer(config, collectives, signs, stream, 1)) {
              rank.start(Optional.of(checkpoint), loading(collectives));
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
