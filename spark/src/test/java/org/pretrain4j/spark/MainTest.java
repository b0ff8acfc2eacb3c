package org.pretrain4j.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The program as a process of its own, which is how a user meets it. */
@Tag("slow")
class MainTest {
  @TempDir Path folder;

  private record Ended(int code, String output) {}

  private Ended run(String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(argument -> argument.startsWith("--"))
        .forEach(command::add);
    command.addAll(
        List.of(
            "-Xmx512m",
            "-Dspark.master=local[2]",
            "-Dlog4j2.configurationFile=pretrain4j-spark-log4j2.xml",
            "-cp",
            System.getProperty("java.class.path"),
            Main.class.getName()));
    command.addAll(List.of(arguments));
    Path output = folder.resolve("output.txt");
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      assertTrue(process.waitFor(2, TimeUnit.MINUTES), "still running");
    } finally {
      process.destroyForcibly();
    }
    return new Ended(process.exitValue(), Files.readString(output));
  }

  @Test
  void aCommandEndsWithItsSummaryOrWithTheUsersMistake() throws Exception {
    Files.writeString(folder.resolve("in-a.txt"), "one two three ".repeat(50));
    Files.writeString(folder.resolve("in-b.txt"), "four five six ".repeat(50));
    String target = folder.resolve("shards").toString();
    String[] tokenize = {
      "tokenize", folder + "/in-*.txt", "--output", target, "--tokenizer", LocalSpark.BYTES.path()
    };
    Ended done = run(tokenize);
    assertEquals(0, done.code(), done.output());
    assertTrue(done.output().contains("documents 2, tokens 1,402, shards 1"), done.output());
    assertTrue(Files.exists(folder.resolve("shards/manifest.json")));

    Files.writeString(folder.resolve("in-c.txt"), "another corpus");
    Ended mistake = run(tokenize);
    assertEquals(2, mistake.code(), mistake.output());
    assertEquals(
        1,
        mistake.output().lines().filter(line -> line.startsWith("error: ")).count(),
        mistake.output());
    assertTrue(mistake.output().contains("already holds a dataset"), mistake.output());
  }

  @Test
  void helpNamesTheCommands() {
    String usage = Main.commandLine().getUsageMessage();
    for (String command : List.of("tokenize", "curate", "shuffle")) {
      assertTrue(usage.contains(command), usage);
    }
  }
}
