package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import io.kubernetes.client.openapi.models.V1Job;
import io.kubernetes.client.openapi.models.V1Service;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The scripts for clusters, as far as they can be tried without one. */
class ClusterScriptsTest {
  /** Surefire runs in the module's folder. */
  private static final Path FOLDER = Path.of("").toAbsolutePath();

  @TempDir Path temporary;

  private record Result(int exitCode, String output) {}

  private Result run(Map<String, String> environment, List<String> command) throws Exception {
    Path log = Files.createTempFile(temporary, "output", ".log");
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().putAll(environment);
    Process process = builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
    process.getOutputStream().close();
    boolean ended = process.waitFor(60, TimeUnit.SECONDS);
    process.destroyForcibly();
    assertTrue(ended, "hangs: " + command);
    return new Result(process.exitValue(), Files.readString(log));
  }

  private static List<JsonNode> manifest() throws IOException {
    try (MappingIterator<JsonNode> documents =
        new YAMLMapper()
            .readerFor(JsonNode.class)
            .readValues(FOLDER.resolve("k8s/train.yaml").toFile())) {
      return documents.readAll();
    }
  }

  private static JsonElement gson(JsonNode node) {
    return JsonParser.parseString(node.toString());
  }

  @Test
  void theManifestsFitThePublishedSchemaOfKubernetes() throws Exception {
    List<JsonNode> documents = manifest();
    assertEquals(
        List.of("Service", "Job"), documents.stream().map(d -> d.get("kind").asText()).toList());
    V1Service.validateJsonElement(gson(documents.get(0)));
    V1Job.validateJsonElement(gson(documents.get(1)));
    String wrong = documents.get(1).toString().replace("completionMode", "completionMood");
    JsonNode misspelt = new ObjectMapper().readTree(wrong);
    assertThrows(IllegalArgumentException.class, () -> V1Job.validateJsonElement(gson(misspelt)));
  }

  @Test
  void thePodsOfTheJobAreTheRanksOfOneWorld() throws Exception {
    JsonNode service = manifest().get(0);
    JsonNode job = manifest().get(1);
    JsonNode spec = job.get("spec");
    JsonNode pod = spec.at("/template/spec");
    Map<String, JsonNode> environment = new HashMap<>();
    for (JsonNode variable : pod.at("/containers/0/env")) {
      environment.put(variable.get("name").asText(), variable);
    }
    assertEquals("Indexed", spec.get("completionMode").asText());
    assertEquals(spec.get("completions"), spec.get("parallelism"));
    assertEquals(
        spec.get("completions").asText(), environment.get("WORLD_SIZE").get("value").asText());
    String name = service.at("/metadata/name").asText();
    assertEquals(name, pod.get("subdomain").asText());
    assertEquals(
        job.at("/metadata/name").asText() + "-0." + name,
        environment.get("MASTER_ADDR").get("value").asText());
    assertEquals("None", service.at("/spec/clusterIP").asText());
    assertEquals(job.at("/metadata/name").asText(), service.at("/spec/selector/job-name").asText());
    assertEquals(
        service.at("/spec/ports/0/port").asText(),
        environment.get("MASTER_PORT").get("value").asText());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "slurm/one-node.sbatch",
        "slurm/many-nodes.sbatch",
        "slurm/run-ranks",
        "slurm/test-single-node",
        "mpirun/run"
      })
  void theScriptsAreCorrectShell(String script) throws Exception {
    Result result = run(Map.of(), List.of("bash", "-n", FOLDER.resolve(script).toString()));
    assertEquals(0, result.exitCode(), result.output());
  }

  /** A program of the given lines. */
  private Path program(String name, String lines) throws IOException {
    Path script = temporary.resolve(name);
    Files.writeString(script, "#!/bin/bash\n" + lines);
    assertTrue(script.toFile().setExecutable(true));
    return script;
  }

  /**
   * One start of a job in a Slurm that is played: the ranks are the given lines, and what the
   * script asks of Slurm is its output.
   */
  private String slurmJob(int start, String ranks) throws Exception {
    return slurmJob(start, ranks, Map.of());
  }

  private String slurmJob(int start, String ranks, Map<String, String> more) throws Exception {
    program("srun", ranks);
    // As Slurm does, entering the queue again ends the script.
    program("scontrol", "echo scontrol $*\nkill -KILL $PPID\n");
    program("scancel", "echo scancel $*\n");
    Map<String, String> environment = new HashMap<>(more);
    environment.put("PATH", temporary + ":" + System.getenv("PATH"));
    environment.put("PRETRAIN4J", "unused");
    environment.put("PRETRAIN4J_RESTARTS", "2");
    environment.put("SLURM_RESTART_COUNT", Integer.toString(start));
    environment.put("SLURM_SUBMIT_DIR", temporary.toString());
    environment.put("SLURM_JOB_ID", "7");
    environment.put("SLURM_JOB_NUM_NODES", "1");
    return run(
            environment, List.of(FOLDER.resolve("slurm/run-ranks").toString(), "train", "run.yaml"))
        .output();
  }

  private static String rankAtStep(int step) {
    return "mkdir -p $PRETRAIN4J_RECORDS\n"
        + "echo '{\"rank\":0,\"step\":"
        + step
        + "}' >$PRETRAIN4J_RECORDS/rank-0.json\n";
  }

  @Test
  void slurmQueuesAJobAgainAsLongAsItGetsFurther() throws Exception {
    int start = 0;
    for (int step = 0; step < 5; step++) {
      String output = slurmJob(start++, rankAtStep(step) + "exit 1\n");
      assertTrue(output.contains("scontrol requeue 7"), output);
    }
    for (int vain = 0; vain < 2; vain++) {
      String output = slurmJob(start++, rankAtStep(3) + "exit 3\n");
      assertTrue(output.contains("scontrol requeue 7"), output);
    }
    // Saved at the end of its time, which is no failure.
    String saved = "trap 'exit 75' TERM\nkill -USR1 $PPID\nsleep 1\nexit 75\n";
    String output = slurmJob(start++, saved);
    assertTrue(output.contains("scancel --signal=TERM 7"), output);
    assertTrue(output.contains("scontrol requeue 7"), output);
    output = slurmJob(start, rankAtStep(4) + "exit 137\n");
    assertTrue(output.contains("gave up after 9 attempts"), output);
  }

  @Test
  void slurmGivesEachRankItsPartOfTheProcessors() throws Exception {
    Map<String, String> node = Map.of("SLURM_TASKS_PER_NODE", "4(x48)", "SLURM_CPUS_ON_NODE", "18");
    String arguments = "echo srun $*\n";
    String bound = "--cpus-per-task=4 --cpu-bind=cores ";
    assertTrue(slurmJob(0, arguments, node).contains(bound + "--distribution=block:block"));
    Map<String, String> dealt = new HashMap<>(node);
    dealt.put("SLURM_DISTRIBUTION", "cyclic");
    String output = slurmJob(0, arguments, dealt);
    assertTrue(output.contains(bound), output);
    assertFalse(output.contains("--distribution"), output);
    Map<String, String> asTheJobSays = new HashMap<>(node);
    asTheJobSays.put("SLURM_CPU_BIND", "none");
    assertUnbound(slurmJob(0, arguments, asTheJobSays));
    Map<String, String> unbound = new HashMap<>(node);
    unbound.put("PRETRAIN4J_BIND", "none");
    assertUnbound(slurmJob(0, arguments, unbound));
    Map<String, String> tooFew = new HashMap<>(node);
    tooFew.put("SLURM_CPUS_ON_NODE", "2");
    assertUnbound(slurmJob(0, arguments, tooFew));
  }

  private static void assertUnbound(String output) {
    assertTrue(output.contains("srun --kill-on-bad-exit=1 --unbuffered"), output);
  }

  @Test
  void slurmBindsByTheNodeThatHasTheFewestProcessorsForEachRank() throws Exception {
    Map<String, String> nodes =
        Map.of(
            "SLURM_CPUS_ON_NODE", "64",
            "SLURM_JOB_CPUS_PER_NODE", "64(x3),32,128",
            "SLURM_TASKS_PER_NODE", "2(x3),4,2");
    String output = slurmJob(0, "echo srun $*\n", nodes);
    assertTrue(output.contains("--cpus-per-task=8 --cpu-bind=cores"), output);
  }

  @Test
  void slurmDoesNotRepeatAMistakeOfTheUser() throws Exception {
    String output = slurmJob(0, "exit 2\n");
    assertTrue(output.contains("starting again would not help"), output);
  }

  @Test
  void aPodThatOnlyFollowsAnotherOneIsNoFailureOfItsOwn() throws Exception {
    Map<String, String> actions = new HashMap<>();
    for (JsonNode rule : manifest().get(1).at("/spec/podFailurePolicy/rules")) {
      for (JsonNode code : rule.at("/onExitCodes/values")) {
        actions.put(code.asText(), rule.get("action").asText());
      }
    }
    assertEquals(Map.of("2", "FailJob", "4", "FailJob", "71", "Ignore", "75", "Ignore"), actions);
  }

  private Result mpirun(String program, Map<String, String> more, String... options)
      throws Exception {
    boolean present = run(Map.of(), List.of("sh", "-c", "command -v mpirun")).exitCode() == 0;
    assumeTrue(present || "true".equals(System.getenv("CI")), "mpirun is missing");
    Map<String, String> environment = new HashMap<>(more);
    environment.put("PRETRAIN4J", program("program", program).toString());
    environment.put("PRETRAIN4J_RECORDS", temporary.resolve("records").toString());
    List<String> command = new ArrayList<>();
    command.add(FOLDER.resolve("mpirun/run").toString());
    command.addAll(List.of(options));
    return run(environment, command);
  }

  @Test
  @Tag("slow")
  void mpirunStartsEveryRankAndAFailedRunAgain() throws Exception {
    Result result =
        mpirun(
            "echo $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE runs $*\n"
                + "test $PRETRAIN4J_ATTEMPT = 2 || exit 7\n",
            Map.of("PRETRAIN4J_RESTARTS", "1"),
            "-n",
            "2",
            "--oversubscribe",
            "--",
            "train",
            "run.yaml");
    assertEquals(0, result.exitCode(), result.output());
    assertTrue(result.output().contains("0 of 2 runs train run.yaml"), result.output());
    assertTrue(result.output().contains("1 of 2 runs train run.yaml"), result.output());
    assertTrue(result.output().contains("attempt 1 failed with exit code 7"), result.output());
  }

  @Test
  @Tag("slow")
  void mpirunStartsARunAgainAsLongAsItGetsFurther() throws Exception {
    Result result =
        mpirun(
            "mkdir -p $PRETRAIN4J_RECORDS\n"
                + "step=$((PRETRAIN4J_ATTEMPT < 4 ? PRETRAIN4J_ATTEMPT : 3))\n"
                + "echo \"{\\\"step\\\":$step}\" >$PRETRAIN4J_RECORDS/rank-0.json\n"
                + "exit 3\n",
            Map.of("PRETRAIN4J_RESTARTS", "1"),
            "-n",
            "1",
            "--",
            "train",
            "run.yaml");
    assertEquals(3, result.exitCode(), result.output());
    assertTrue(result.output().contains("gave up after 5 attempts"), result.output());
  }

  @Test
  @Tag("slow")
  void mpirunDoesNotRepeatAMistakeOfTheUser() throws Exception {
    Result result =
        mpirun(
            "exit 2\n", Map.of("PRETRAIN4J_RESTARTS", "3"), "-n", "1", "--", "train", "run.yaml");
    assertEquals(2, result.exitCode(), result.output());
  }
}
