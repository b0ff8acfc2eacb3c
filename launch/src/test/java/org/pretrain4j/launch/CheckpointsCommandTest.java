package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.checkpoints.CheckpointState;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.checkpoints.StagedCheckpoint;

class CheckpointsCommandTest {
  private static final FlatLayout LAYOUT =
      FlatLayout.of(
          List.of(
              new FlatLayout.Parameter("embed", List.of(20L, 3L)),
              new FlatLayout.Parameter("norm", List.of(3L))));

  @TempDir Path temporary;
  private String run;
  private CheckpointStore store;

  private record Result(int code, String out, String err) {
    String ok() {
      assertEquals(0, code, this::toString);
      assertEquals("", err);
      return out;
    }

    String error() {
      assertEquals(ExitCode.USAGE.number(), code, this::toString);
      assertTrue(err.startsWith("error: ") && err.lines().count() == 1, err);
      return err;
    }
  }

  private static Result run(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code =
        Main.commandLine(new ErrorReport(), new GracefulStop())
            .setOut(new PrintWriter(out))
            .setErr(new PrintWriter(err))
            .execute(arguments);
    return new Result(code, out.toString(), err.toString());
  }

  @BeforeEach
  void saveThree() {
    run = temporary.resolve("run").toString();
    store = CheckpointStore.open(run + "/checkpoints");
    for (int step = 10; step <= 30; step += 10) {
      save(store, step, step == 10 ? 1 : 2);
    }
  }

  private static void save(CheckpointStore store, int step, int ranks) {
    StagedCheckpoint staged = store.stage(step, "a");
    long share = LAYOUT.elements() / ranks;
    for (int rank = 0; rank < ranks; rank++) {
      long end = rank == ranks - 1 ? LAYOUT.elements() : (rank + 1) * share;
      FlatRange range = new FlatRange(rank * share, end);
      MemorySegment values = Arena.ofAuto().allocate(ValueLayout.JAVA_FLOAT, range.length());
      for (long i = 0; i < range.length(); i++) {
        values.setAtIndex(ValueLayout.JAVA_FLOAT, i, step + range.start() + i);
      }
      staged.writeShard(rank, ranks, LAYOUT, List.of(range), Map.of("master", values));
    }
    staged.publish(
        ranks,
        CheckpointState.builder(step)
            .tokens(step * 512L)
            .stage("web")
            .configuration("name: a\nlength: %d\n".formatted(step))
            .build());
  }

  private String step(int step) {
    return run + "/checkpoints/step-%010d".formatted(step);
  }

  private void damage(int step) throws IOException {
    Path shard = Path.of(step(step), "rank-00001-of-00002.safetensors");
    byte[] bytes = Files.readAllBytes(shard);
    bytes[bytes.length - 1] ^= 1;
    Files.write(shard, bytes);
  }

  @Test
  void theListIsATableOfAllThereIs() throws IOException {
    assertEquals("", run("checkpoints", "pin", step(10), "best").ok());
    Files.delete(Path.of(step(20), "manifest.json"));
    List<String> lines = run("checkpoints", "list", run).ok().lines().toList();
    assertEquals(4, lines.size());
    assertEquals(
        List.of("step", "tokens", "stage", "ranks", "size", "saved", "tags", "state"),
        List.of(lines.get(0).strip().split(" +")));
    assertTrue(lines.get(1).matches(" +10 +5,120 +web +1 .* best +complete"), lines.get(1));
    assertTrue(lines.get(2).contains("manifest.json is missing"), lines.get(2));
    assertTrue(lines.get(3).matches(" +30 +15,360 +web +2 .* complete"), lines.get(3));
    assertEquals(lines, run("checkpoints", "list", run + "/checkpoints").ok().lines().toList());

    JsonNode json = new JsonMapper().readTree(run("checkpoints", "list", run, "--json").ok());
    assertEquals(3, json.size());
    assertEquals(5120, json.get(0).get("tokens").longValue());
    assertEquals("best", json.get(0).get("tags").get(0).textValue());
    assertTrue(json.get(0).get("problem").isNull());
    assertTrue(json.get(1).get("problem").textValue().contains("manifest.json is missing"));
  }

  @Test
  void verifyReadsEveryByteAndNamesWhatIsDamaged() throws IOException {
    assertTrue(run("checkpoints", "verify", run).ok().contains("every byte is good"));
    damage(20);
    assertTrue(run("checkpoints", "list", run).ok().contains("complete"));
    Result verified = run("checkpoints", "verify", run);
    assertTrue(verified.error().contains("1 of 3 checkpoints"), verified.err());
    assertTrue(verified.out().contains("rank-00001-of-00002.safetensors is damaged between byte"));
    assertEquals(4, verified.out().lines().count());
    run("checkpoints", "verify", step(30)).ok();
    run("checkpoints", "verify", step(20)).error();
  }

  @Test
  void inspectGoesPastADamagedCheckpoint() throws IOException {
    damage(20);
    Result inspected = run("inspect", run, "--verify");
    assertTrue(inspected.error().contains("1 of 3 checkpoints"), inspected.err());
    assertTrue(inspected.out().contains("10 done, in stage web"), inspected.out());
    assertTrue(inspected.out().contains("step-0000000020 is damaged"), inspected.out());
    assertTrue(inspected.out().contains("30 done, in stage web"), inspected.out());
  }

  @Test
  void reshardedCheckpointsDifferInNothing() {
    String target = temporary.resolve("target").toString();
    String said = run("checkpoints", "reshard", step(30), target, "--ranks", "3").ok();
    assertTrue(said.contains("3 shards, before in 2"), said);
    String copy = target + "/step-0000000030";
    assertEquals("no difference\n", run("checkpoints", "diff", step(30), copy).ok());
    String again = run("checkpoints", "reshard", step(30), target, "--ranks", "3").error();
    assertTrue(again.contains("already holds step 30"), again);
    assertTrue(
        run("checkpoints", "reshard", step(30), target, "--ranks", "0").error().contains("0"));
  }

  @Test
  void diffShowsStateAndValues() throws IOException {
    String shown = run("checkpoints", "diff", step(10), step(20)).ok();
    assertTrue(shown.contains("tokens: 5120 -> 10240"), shown);
    assertTrue(shown.contains("- length: 10\n+ length: 20\n"), shown);
    assertFalse(shown.contains("name: a"), shown);
    assertTrue(shown.matches("(?s).*master +embed +60 +60 +10.0\n.*norm +3 +3 +10.0\n"), shown);
    JsonNode json =
        new JsonMapper().readTree(run("checkpoints", "diff", step(10), step(20), "--json").ok());
    assertEquals(60, json.get("tensors").get(0).get("differing").longValue());
    damage(20);
    String error = run("checkpoints", "diff", step(10), step(20)).error();
    assertTrue(error.contains("rank-00001-of-00002.safetensors"), error);
  }

  @Test
  void pruneDeletesWhatNoRuleKeeps() throws IOException {
    run("checkpoints", "pin", step(20), "best").ok();
    String[] prune = {"checkpoints", "prune", run, "--keep-last", "1"};
    String would = run("checkpoints", "prune", run, "--keep-last", "1", "--dry-run").ok();
    assertEquals("would delete  10\nwould keep    20 30\n", would);
    assertEquals(List.of(10L, 20L, 30L), store.steps());
    damage(30);
    assertTrue(run(prune).out().startsWith("deleted  10\nkept     20 30"));
    assertEquals(List.of(20L, 30L), store.steps());
    run("checkpoints", "unpin", run, "best").ok();
    assertTrue(run("checkpoints", "unpin", run, "best").error().contains("'best'"));
    run(prune);
    assertEquals(List.of(20L, 30L), store.steps(), "the newest good one stays");
    run("checkpoints", "prune", run, "--keep-last", "0").error();
  }

  @ParameterizedTest
  @CsvSource({"list", "verify", "prune --keep-last 1", "unpin"})
  void aFolderWithoutCheckpointsIsNamed(String command) {
    String[] words = ("checkpoints " + command + " " + temporary + " x").split(" ");
    String[] arguments =
        command.equals("unpin") ? words : java.util.Arrays.copyOf(words, words.length - 1);
    assertTrue(run(arguments).error().contains("holds no checkpoints"));
    String missing = run("checkpoints", "list", temporary.resolve("nowhere").toString()).error();
    assertTrue(missing.contains("does not exist"), missing);
    String none = run("checkpoints", "verify", run + "/checkpoints/step-0000000011").error();
    assertTrue(none.contains("no checkpoint of step 11"), none);
  }
}
