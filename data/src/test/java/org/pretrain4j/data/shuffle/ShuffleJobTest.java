package org.pretrain4j.data.shuffle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.CountingFileSystem;
import org.pretrain4j.data.Fixtures;
import org.pretrain4j.data.KilledProcess;
import org.pretrain4j.data.random.SplitMix64;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.Sequence;
import org.pretrain4j.data.shards.SequenceCursor;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.Progress;

class ShuffleJobTest {
  private static final int LENGTH = 31;
  private static final ShuffleOptions OPTIONS = new ShuffleOptions(LENGTH, 12, 4000);

  @TempDir Path folder;

  /** Tokens below 500 are of good files, the fourth shard has tokens from 500 on: a bad one. */
  @BeforeEach
  void dataset() throws Exception {
    Random random = new Random(8);
    List<List<int[]>> shards = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      List<int[]> documents = Fixtures.documents(random, Fixtures.SMALL, 200, 80);
      for (int[] document : documents) {
        for (int t = 0; t < document.length - 1; t++) {
          document[t] = document[t] % 499 + (i == 3 ? 500 : 0);
        }
      }
      shards.add(documents);
    }
    Fixtures.write(folder.resolve("source"), Fixtures.SMALL, 512, shards);
  }

  private static Manifest shuffle(Path folder, String target, ShuffleOptions options) {
    return new ShuffleJob(
            Fixtures.STORAGE,
            Fixtures.hadoop(folder.resolve("source")),
            Fixtures.hadoop(folder.resolve(target)),
            options,
            PreparationListener.NONE)
        .run();
  }

  private List<String> sequences(String dataset) {
    SequenceCursor cursor =
        ShardedDataset.open(
                Fixtures.STORAGE,
                Fixtures.hadoop(folder.resolve(dataset)),
                Fixtures.SMALL,
                new BlockCache(1 << 20))
            .cursor(LENGTH);
    List<String> all = new ArrayList<>();
    for (long i = 0; i < cursor.size(); i++) {
      Sequence sequence = cursor.read(i);
      all.add(Arrays.toString(sequence.tokens()) + Arrays.toString(sequence.documentStarts()));
    }
    return all;
  }

  @Test
  void everySequenceIsThereOnceWithItsDocumentStarts() {
    Manifest manifest = shuffle(folder, "a", OPTIONS);
    assertEquals(LENGTH, manifest.sequenceLength());
    List<String> source = sequences("source");
    List<String> shuffled = sequences("a");
    assertNotEquals(source, shuffled);
    assertEquals(source.stream().sorted().toList(), shuffled.stream().sorted().toList());
    shuffle(folder, "b", new ShuffleOptions(LENGTH, 13, 4000));
    assertNotEquals(shuffled, sequences("b"));
  }

  @Test
  void aBadFileIsSpreadEvenly() {
    shuffle(folder, "a", OPTIONS);
    List<String> shuffled = sequences("a");
    int slices = 20;
    double[] bad = new double[slices];
    int total = 0;
    int neighbours = 0;
    boolean previous = false;
    for (int i = 0; i < shuffled.size(); i++) {
      boolean isBad = shuffled.get(i).matches("\\[[^\\]]*\\b[5-9]\\d\\d\\b(?<!999)[^\\]]*\\].*");
      if (isBad) {
        bad[(int) ((long) i * slices / shuffled.size())]++;
        total++;
        neighbours += previous ? 1 : 0;
      }
      previous = isBad;
    }
    double expected = (double) total / slices;
    double chiSquare =
        Arrays.stream(bad).map(count -> (count - expected) * (count - expected) / expected).sum();
    assertTrue(expected > 8, "expected " + expected);
    // 19 degrees of freedom: below 43.8 with probability 0.999.
    assertTrue(chiSquare < 43.8, "chi square " + chiSquare + " of " + Arrays.toString(bad));
    double alike = (double) total * total / shuffled.size();
    assertEquals(alike, neighbours, 4 * Math.sqrt(alike), "bad sequences next to bad ones");
  }

  @Test
  void anotherSequenceLengthOrASecondShuffleIsRefused() {
    shuffle(folder, "a", OPTIONS);
    ShardedDataset dataset =
        ShardedDataset.open(
            Fixtures.STORAGE,
            Fixtures.hadoop(folder.resolve("a")),
            Fixtures.SMALL,
            new BlockCache(1 << 20));
    assertEquals(sequences("source").size(), dataset.windows("a", LENGTH, 1).perEpoch());
    assertThrows(UserException.class, () -> dataset.windows("a", LENGTH + 1, 1));
    UserException e = assertThrows(UserException.class, dataset::documents);
    assertTrue(e.getMessage().contains("a: is shuffled"), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
    assertThrows(
        UserException.class,
        () ->
            new ShuffleJob(
                    Fixtures.STORAGE,
                    Fixtures.hadoop(folder.resolve("a")),
                    Fixtures.hadoop(folder.resolve("b")),
                    OPTIONS,
                    PreparationListener.NONE)
                .run());
  }

  @Test
  void whatJobsWithOtherOptionsLeftIsDeleted() throws Exception {
    ShuffleJob job =
        new ShuffleJob(
            Fixtures.STORAGE,
            Fixtures.hadoop(folder.resolve("source")),
            Fixtures.hadoop(folder.resolve("a")),
            OPTIONS,
            PreparationListener.NONE,
            7);
    AtomicReference<String> name = new AtomicReference<>();
    ShuffleEngine stopping =
        (dataset, plan, journal) -> {
          name.set(Long.toHexString(SplitMix64.key(journal.job() + "|7")));
          throw new IllegalStateException("stopped");
        };
    assertThrows(IllegalStateException.class, () -> job.run(stopping));
    Path temporary = folder.resolve("a/_shuffle");
    Path own = Files.createDirectories(temporary.resolve(name.get()));
    Path kept = Files.writeString(own.resolve("run-0-000000000"), "a finished run");
    Path unfinished = Files.writeString(own.resolve(".run-0-000000001.x.tmp"), "half a run");
    Path other = Files.createDirectories(temporary.resolve("0123"));
    Files.writeString(other.resolve("run-0-000000000"), "of other options");
    assertThrows(IllegalStateException.class, () -> job.run(stopping));
    assertTrue(Files.exists(kept));
    assertTrue(Files.notExists(unfinished));
    assertTrue(Files.notExists(other));
  }

  @Test
  void aFinishedShuffleIsNotRepeatedAndAnotherIsRefused() {
    assertEquals(shuffle(folder, "a", OPTIONS), shuffle(folder, "a", OPTIONS));
    assertThrows(
        UserException.class, () -> shuffle(folder, "a", new ShuffleOptions(LENGTH, 1, 4000)));
  }

  private Manifest shuffle(String target, ShuffleOptions options, int fanIn) {
    return new ShuffleJob(
            CountingFileSystem.storage("run-"),
            Fixtures.hadoop(folder.resolve("source")),
            Fixtures.hadoop(folder.resolve(target)),
            options,
            PreparationListener.NONE,
            fanIn)
        .run();
  }

  @Test
  void manyBucketsAreMergedWithFewFilesOpenAndEachIsReadOnce() {
    ShuffleOptions tiny = new ShuffleOptions(LENGTH, 12, 480);
    Manifest expected = shuffle("a", tiny, 1000);
    int stretches = expected.shards().size();
    assertTrue(stretches > 150, stretches + " stretches and as many buckets");
    assertEquals(stretches, CountingFileSystem.mostOpen());
    List<String> source = sequences("source");
    List<String> inOrder = new ArrayList<>();
    ShufflePlan plan = new ShufflePlan(tiny, source.size());
    for (int bucket = 0; bucket < plan.buckets(); bucket++) {
      int number = bucket;
      List<String> dealt =
          IntStream.range(0, source.size())
              .filter(sequence -> plan.bucketOf(sequence) == number)
              .mapToObj(source::get)
              .toList();
      for (int i : SplitMix64.of(tiny.seed(), bucket, -1).permutation(dealt.size())) {
        inOrder.add(dealt.get(i));
      }
    }
    assertEquals(inOrder, sequences("a"), "an order that seed and numbers alone decide");
    for (int fanIn : new int[] {2, 7}) {
      assertEquals(expected, shuffle("fan-in-" + fanIn, tiny, fanIn));
      assertEquals(fanIn, CountingFileSystem.mostOpen());
      assertEquals(0, CountingFileSystem.open());
      int runs = stretches;
      for (int level = stretches; level > fanIn; ) {
        level = (level + fanIn - 1) / fanIn;
        runs += level;
      }
      assertEquals(runs, CountingFileSystem.opened(), "each run is opened once");
    }
  }

  @Test
  void progressOverSeveralMergesEndsAtAllBytesAndNeverGoesBack() {
    List<Long> seen = new ArrayList<>();
    List<Long> totals = new ArrayList<>();
    new ShuffleJob(
            Fixtures.STORAGE,
            Fixtures.hadoop(folder.resolve("source")),
            Fixtures.hadoop(folder.resolve("a")),
            OPTIONS,
            new PreparationListener() {
              @Override
              public void progress(Progress progress) {
                seen.add(progress.inputBytes());
                totals.add(progress.totalInputBytes());
              }
            },
            3)
        .run();
    assertEquals(seen.stream().sorted().toList(), seen);
    assertEquals(totals.getLast(), seen.getLast());
  }

  /** The process that is killed; few files may be open, so that it merges in several levels. */
  static final class Job {
    private Job() {}

    public static void main(String[] arguments) {
      Fixtures.hadoop(Path.of(arguments[0]));
      System.out.println(KilledProcess.STARTED);
      new ShuffleJob(
              Fixtures.STORAGE,
              Fixtures.hadoop(Path.of(arguments[0]).resolve("source")),
              Fixtures.hadoop(Path.of(arguments[0]).resolve(arguments[1])),
              OPTIONS,
              PreparationListener.NONE,
              3)
          .run();
    }
  }

  @Test
  @Tag("slow")
  void theResultOfAKilledShuffleIsThatOfAnUndisturbedOne() throws Exception {
    new KilledProcess(Job.class, folder).killAndCompare(10);
  }
}
