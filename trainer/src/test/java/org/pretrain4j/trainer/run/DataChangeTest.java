package org.pretrain4j.trainer.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.DataChange;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.stream.StagePlan;

/** A run that goes on with other data than it had begun with. */
final class DataChangeTest {
  private static final int STEPS = 18;

  @TempDir private Path temp;

  private SmallRun runOf(String name) {
    return new SmallRun(temp.resolve(name), STEPS, "bf16", 2, 100);
  }

  private static void trainTo(SmallRun run, int steps, boolean mayChange) {
    StopRequest stop = new StopRequest();
    run.train(
        new TrainingOptions(Resume.AUTO, mayChange, stop),
        metrics -> {
          if (metrics.step() == steps - 1) {
            stop.stop();
          }
        });
    assertEquals(steps, run.metrics().size());
  }

  /** The first stage's mixture turned round. */
  private static SmallRun turned(SmallRun run) {
    return run.with("sums: 0.9\n      more: 0.1", "sums: 0.2\n      more: 0.8");
  }

  private static List<DataChange> changesOf(SmallRun run) {
    return run.store().newestGood(warning -> {}).orElseThrow().state().dataChanges();
  }

  @Test
  void anotherMixtureIsRefusedUnlessItIsAllowed() {
    SmallRun run = runOf("run");
    trainTo(run, 6, false);
    String before = run.stateHash();
    UserException refused = assertThrows(UserException.class, () -> turned(run).train());
    assertTrue(refused.getMessage().contains("stages[0].mixture"), refused.getMessage());
    assertTrue(refused.getMessage().contains("--allow-data-change"), refused.getMessage());
    assertEquals(before, run.stateHash());
    UserException seed =
        assertThrows(
            UserException.class, () -> trainTo(run.with("seed: 11", "seed: 12"), STEPS, true));
    assertTrue(seed.getMessage().contains("seed"), seed.getMessage());
  }

  @Test
  void aStageToComeAndTheOrderOfTheDatasetsAreDataToo() {
    SmallRun run = runOf("run");
    trainTo(run, 4, false);
    SmallRun later = run.with("sums: 0.5\n      more: 0.5", "sums: 0.1\n      more: 0.9");
    UserException refused = assertThrows(UserException.class, later::train);
    assertTrue(refused.getMessage().contains("stages[1].mixture"), refused.getMessage());
    RunConfig config = run.config();
    Checkpoint found = run.store().newestGood(warning -> {}).orElseThrow();
    assertEquals(List.of(), ResumeCheck.changedData(config, found));
    RunConfig reordered =
        ConfigurationReader.parse(
            RunConfig.class,
            ConfigurationWriter.toYaml(config)
                .replace("sums:\n", "HERE:\n")
                .replace("more:\n", "sums:\n")
                .replace("HERE:\n", "more:\n")
                .replace("documents: 200", "documents: here")
                .replace("documents: 90", "documents: 200")
                .replace("documents: here", "documents: 90"),
            "the test's configuration");
    assertEquals(config.data().datasets(), reordered.data().datasets());
    assertEquals(List.of("data.datasets (their order)"), ResumeCheck.changedData(reordered, found));
    trainTo(later, STEPS, true);
    assertEquals(List.of("stages[1].mixture"), changesOf(run).getFirst().what());
  }

  @Test
  void eachDatasetGoesOnWhereItStoodAndTheChangeIsRecorded() throws Exception {
    SmallRun run = runOf("run");
    trainTo(run, 6, false);
    List<Double> before = run.losses();
    long[] old = RunData.plan(run.config()).samples(6);

    SmallRun changed = turned(run);
    changed.train(new TrainingOptions(Resume.AUTO, true, new StopRequest()), metrics -> {});
    assertEquals(before, changed.losses().subList(0, 6));

    List<DataChange> changes = changesOf(changed);
    assertEquals(1, changes.size());
    assertEquals(6, changes.getFirst().step());
    assertEquals(List.of("stages[0].mixture"), changes.getFirst().what());
    assertEquals(
        List.of(new DataChange.Stretch("first", 6, Map.of("sums", 0.9, "more", 0.1))),
        changes.getFirst().before());
    String file = Files.readString(temp.resolve("run/data-changes.json"));
    assertTrue(file.contains("stages[0].mixture"), file);

    StagePlan plan = RunData.plan(changed.config(), changes);
    assertEquals(STEPS, plan.steps());
    assertArrayEquals(old, plan.samples(6), "what was read stays read");
    long next = 0;
    for (int row = 0; row < plan.rowsPerStep() && next == 0; row++) {
      StagePlan.Place place = plan.place(6, row);
      if (plan.datasets().get(place.dataset()).equals("more")) {
        next = place.sample();
      }
    }
    assertEquals(old[1], next, "the first new sample of 'more' is the one after its last");

    JsonNode sixth = changed.metrics().get(5);
    JsonNode last = changed.metrics().getLast();
    assertEquals(0, sixth.get("data_changes").intValue());
    assertEquals(1, last.get("data_changes").intValue());
    assertEquals(64 * old[1], sixth.get("dataset_tokens").get("more").longValue());
    assertEquals(64 * plan.samples(STEPS)[1], last.get("dataset_tokens").get("more").longValue());
    assertTrue(last.get("dataset_epochs").get("more").doubleValue() > 0);
  }

  @Test
  void aChangedRunIsStoppedAndContinuedLikeAnyOther() {
    SmallRun whole = runOf("whole");
    trainTo(whole, 6, false);
    turned(whole).train(new TrainingOptions(Resume.AUTO, true, new StopRequest()), metrics -> {});

    SmallRun broken = runOf("broken");
    trainTo(broken, 6, false);
    trainTo(turned(broken), 9, true);
    trainTo(turned(broken), 14, false);
    turned(broken).train();
    assertEquals(turned(whole).losses(), turned(broken).losses());
    assertEquals(whole.stateHash(), broken.stateHash());

    SmallRun unchanged = runOf("unchanged");
    unchanged.train();
    assertNotEquals(unchanged.losses(), turned(whole).losses());
  }

  @Test
  void aNewDatasetJoinsAndOneThatWasReadMustStay() {
    SmallRun run = runOf("run");
    trainTo(run, 6, false);
    SmallRun joined =
        run.with(
                "  read_ahead_steps:",
                "    third: {synthetic: arithmetic, documents: 70}\n  read_ahead_steps:")
            .with("sums: 0.9\n      more: 0.1", "sums: 0.5\n      third: 0.5");
    trainTo(joined, 12, true);
    trainTo(
        turned(joined.with("sums: 0.5\n      third: 0.5", "sums: 0.9\n      more: 0.1")),
        STEPS,
        true);
    List<DataChange> changes = changesOf(run);
    assertEquals(List.of(6L, 12L), changes.stream().map(DataChange::step).toList());
    assertEquals(List.of("data.datasets", "stages[0].mixture"), changes.getFirst().what());
    assertEquals(
        64L * 8 * STEPS,
        run
            .store()
            .newestGood(warning -> {})
            .orElseThrow()
            .state()
            .tokensByDataset()
            .values()
            .stream()
            .mapToLong(Long::longValue)
            .sum());
  }

  @Test
  void otherTokensUnderTheSameNameAreAChange() throws Exception {
    SmallRun run = runOf("run");
    trainTo(run, 4, false);
    SmallRun other = new SmallRun(temp.resolve("other"), STEPS, "bf16", 1, 6, 77);
    other.train();
    Files.move(temp.resolve("run/data/sums"), temp.resolve("moved"));
    Files.move(temp.resolve("other/data/sums"), temp.resolve("run/data/sums"));
    UserException refused = assertThrows(UserException.class, run::train);
    assertTrue(refused.getMessage().contains("the tokens of sums"), refused.getMessage());
    trainTo(run, STEPS, true);
    assertEquals(List.of("tokens of sums"), changesOf(run).getFirst().what());
  }
}
