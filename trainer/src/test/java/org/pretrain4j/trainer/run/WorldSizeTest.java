package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.ComputeThreads;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.parallel.PassingCollectives;
import org.pretrain4j.trainer.parallel.Pending;

/** The number of ranks is a matter of speed only: the quickstart's shape on several engines. */
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
            try (RankTrainer rank =
                new RankTrainer(config, collectives, signs, stream, ComputeDevice.host(1))) {
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
  private static final class LosesARank extends PassingCollectives {
    LosesARank(Collectives engine) {
      super(engine);
    }

    @Override
    public Pending reduceScatter(FlatBuffer input, FlatBuffer output) {
      if (rank() == worldSize() - 1) {
        input.segment().fill((byte) 0);
      }
      return super.reduceScatter(input, output);
    }
  }
}
