package org.pretrain4j.launch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * The script {@code launch/pretrain4j} in a project of its own, with a Maven and a Java that only
 * write down how they were called.
 */
@EnabledOnOs({OS.LINUX, OS.MAC})
class LauncherScriptTest {
  private static final String JAR = "launch-0.1.jar";

  @TempDir Path folder;
  private Path project;
  private Path bin;
  private Path jdk;

  @BeforeEach
  void makeProject() throws IOException {
    project = Files.createDirectories(folder.resolve("the project"));
    bin = Files.createDirectories(folder.resolve("bin"));
    jdk = folder.resolve("jdk");
    Files.createDirectories(project.resolve("launch/src/main/java"));
    Files.createDirectories(project.resolve("data/src/main/java"));
    Files.writeString(project.resolve("pom.xml"), "<project/>");
    Path script = project.resolve("launch/pretrain4j");
    Files.copy(Path.of("pretrain4j"), script);
    executable(script, Files.readString(script));
    executable(
        bin.resolve("mvn"),
        """
        #!/bin/sh
        echo "$JAVA_HOME $*" >>'%1$s/mvn.calls'
        [ ! -e '%1$s/mvn.fails' ] || { echo '[ERROR] Main.java:[7,1] ; expected'; exit 1; }
        case " $* " in
          *' -o '*) [ ! -e '%1$s/mvn.needs.network' ] || { echo '[ERROR] Cannot access central in offline mode'; exit 1; } ;;
        esac
        sleep 0.2
        mkdir -p launch/target data/target
        echo classes >launch/target/%2$s
        echo classes >data/target/data-0.1.jar
        printf '%%s:%%s' "$PWD/data/target/data-0.1.jar" '%1$s/library.jar' >launch/target/classpath
        """
            .formatted(folder, JAR));
    Files.writeString(folder.resolve("library.jar"), "classes");
    makeJdk("25.0.3");
  }

  @Test
  void buildsAtTheFirstStartAndNotAtTheSecond() throws Exception {
    Result first = start("train", "a b.yaml", "--set", "x=*");
    assertEquals(0, first.code, first.err);
    assertEquals(List.of("train", "a b.yaml", "--set", "x=*"), first.arguments());
    assertTrue(first.out.contains(":" + folder.resolve("library.jar") + ":"), first.out);
    assertEquals(1, first.err.lines().count(), "one calm line: " + first.err);
    assertTrue(first.err.contains("first start, building"), first.err);

    Result second = start("train");
    assertEquals("", second.err);
    assertEquals(1, mavenCalls().size());
    assertTrue(mavenCalls().getFirst().startsWith(jdk + " "), "Maven gets the JDK that was found");
  }

  @Test
  void buildsAgainAfterASourceOrAPomChanged() throws Exception {
    start("train");
    Path source = project.resolve("data/src/main/java/A.java");
    Files.writeString(source, "class A {}");
    inTheFuture(source);
    Result second = start("train");
    assertEquals(2, mavenCalls().size());
    assertTrue(second.err.contains("sources have changed"), second.err);
    Files.setLastModifiedTime(source, FileTime.from(Instant.EPOCH));
    Files.setLastModifiedTime(source.getParent(), FileTime.from(Instant.EPOCH));

    inTheFuture(project.resolve("pom.xml"));
    start("train");
    assertEquals(3, mavenCalls().size());
  }

  @Test
  void aRunningJvmKeepsItsJarsThroughALaterBuild() throws Exception {
    Path before = jarOf(start("train"));
    inTheFuture(project.resolve("pom.xml"));
    Path after = jarOf(start("train"));
    assertFalse(before.equals(after), "both builds run from " + after);
    assertTrue(Files.exists(before), before + " is gone");
  }

  @Test
  void startsWithoutLookingAtSourcesIfToldSo() throws Exception {
    start("train");
    inTheFuture(project.resolve("pom.xml"));
    assertEquals(0, start(Map.of("PRETRAIN4J_NO_BUILD", "1"), "train").code);
    assertEquals(1, mavenCalls().size());
  }

  @Test
  void processesThatStartAtOnceBuildOnce() throws Exception {
    List<Process> processes = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      processes.add(process(Map.of(), "train").start());
    }
    for (Process process : processes) {
      assertTrue(process.waitFor(60, TimeUnit.SECONDS));
      assertEquals(0, process.exitValue());
    }
    assertEquals(1, mavenCalls().size());
  }

  @Test
  void asksTheNetworkOnlyForWhatIsMissing() throws Exception {
    Files.createFile(folder.resolve("mvn.needs.network"));
    assertEquals(0, start("train").code);
    assertEquals(2, mavenCalls().size());
    assertTrue(mavenCalls().getFirst().contains(" -o "), mavenCalls().getFirst());
    assertFalse(mavenCalls().getLast().contains(" -o "), mavenCalls().getLast());
  }

  @Test
  void aFailedBuildIsOneErrorLineAndKeepsItsLog() throws Exception {
    Files.createFile(folder.resolve("mvn.fails"));
    Result result = start("train");
    assertEquals(1, result.code);
    assertEquals(1, result.errorLines(), result.err);
    assertTrue(result.err.contains("; expected"), result.err);
    assertTrue(Files.exists(project.resolve("launch/target/build.log")));
    assertEquals(1, mavenCalls().size(), "a compile error is no reason to ask the network");

    Files.delete(folder.resolve("mvn.fails"));
    assertEquals(0, start("train").code);
  }

  @Test
  void withoutANewEnoughJdkItSaysWhatToInstall() throws Exception {
    makeJdk("21.0.2");
    Result result = start("train");
    // On a machine with a real JDK 25 in one of the usual folders the script rightly finds that
    // one.
    if (result.code != 0 && mavenCalls().isEmpty()) {
      assertEquals(2, result.code);
      assertEquals(1, result.errorLines(), result.err);
      assertTrue(result.err.contains("JDK 25"), result.err);
    } else {
      assertFalse(mavenCalls().getFirst().startsWith(jdk + " "), "took JDK 21");
    }
  }

  @Test
  void worksThroughASymbolicLinkFromAnotherFolderAndStaysThere() throws Exception {
    Path link = Files.createSymbolicLink(bin.resolve("p4j"), project.resolve("launch/pretrain4j"));
    Path elsewhere = Files.createDirectories(folder.resolve("elsewhere"));
    ProcessBuilder builder = process(Map.of(), "inspect", "shards");
    builder.command().set(0, link.toString());
    Result result = Result.of(builder.directory(elsewhere.toFile()));
    assertEquals(0, result.code, result.err);
    assertTrue(result.out.contains("cwd=" + elsewhere.toRealPath()), result.out);
    assertTrue(result.out.contains("-Dpretrain4j.home=" + project.toRealPath()), result.out);
  }

  @Test
  void theJvmTakesThePlaceOfTheShellSoThatSignalsReachIt() throws Exception {
    start("train");
    Process process = process(Map.of(), "train").start();
    long shell = process.pid();
    Result result = Result.of(process);
    assertTrue(result.out.contains("pid=" + shell), result.out);
  }

  @Test
  void passesTheUsersJvmOptionsAndTheExitCode() throws Exception {
    Result result = start(Map.of("PRETRAIN4J_JAVA_OPTIONS", "-Xmx3g -Dx=y", "EXIT", "75"), "train");
    assertEquals(75, result.code);
    assertTrue(result.out.contains("arg=-Xmx3g\narg=-Dx=y\n"), result.out);
  }

  @Test
  void optionalPartsHaveABuildOfTheirOwn() throws Exception {
    Path plain = jarOf(start("train"));
    Path withS3 = jarOf(start(Map.of("PRETRAIN4J_PROFILES", "s3"), "train"));
    assertTrue(mavenCalls().getLast().contains(" -Ps3 "), mavenCalls().getLast());
    assertFalse(mavenCalls().getFirst().contains("-P"), mavenCalls().getFirst());
    assertEquals(plain, jarOf(start("train")), "each keeps its own");
    assertEquals(withS3, jarOf(start(Map.of("PRETRAIN4J_PROFILES", "s3"), "train")));
    assertEquals(2, mavenCalls().size());
    Result odd = start(Map.of("PRETRAIN4J_PROFILES", "s3 -Dx"), "train");
    assertEquals(2, odd.code);
    assertEquals(1, odd.errorLines(), odd.err);
  }

  @Test
  void hadoopsConfigurationIsOnTheClassPath() throws Exception {
    Result result = start(Map.of("HADOOP_CONF_DIR", "/etc/hadoop/conf"), "train");
    assertTrue(result.out.contains("arg=/etc/hadoop/conf:" + project.toRealPath()), result.out);
  }

  private void makeJdk(String version) throws IOException {
    Files.createDirectories(jdk.resolve("bin"));
    Files.writeString(jdk.resolve("release"), "JAVA_VERSION=\"" + version + "\"\n");
    executable(jdk.resolve("bin/javac"), "#!/bin/sh\n");
    executable(
        jdk.resolve("bin/java"),
        """
        #!/bin/sh
        echo "pid=$$"
        echo "cwd=$(pwd -P)"
        for argument in "$@"; do echo "arg=$argument"; done
        exit ${EXIT:-0}
        """);
  }

  private static void executable(Path file, String text) throws IOException {
    Files.writeString(file, text);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private static void inTheFuture(Path file) throws IOException {
    Files.setLastModifiedTime(file, FileTime.from(Instant.now().plusSeconds(60)));
  }

  private List<String> mavenCalls() throws IOException {
    Path calls = folder.resolve("mvn.calls");
    return Files.exists(calls) ? Files.readAllLines(calls) : List.of();
  }

  private static Path jarOf(Result result) {
    String classPath =
        result.out.lines().filter(line -> line.endsWith(JAR)).findFirst().orElseThrow();
    return Path.of(classPath.substring(classPath.lastIndexOf(':') + 1));
  }

  private Result start(String... arguments) throws Exception {
    return start(Map.of(), arguments);
  }

  private Result start(Map<String, String> environment, String... arguments) throws Exception {
    return Result.of(process(environment, arguments));
  }

  private ProcessBuilder process(Map<String, String> environment, String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(project.resolve("launch/pretrain4j").toString());
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("JAVA_HOME", jdk.toString());
    builder.environment().put("PATH", bin + ":/usr/bin:/bin");
    builder.environment().putAll(environment);
    return builder;
  }

  private record Result(int code, String out, String err) {
    static Result of(ProcessBuilder builder) throws Exception {
      return of(builder.start());
    }

    static Result of(Process process) throws Exception {
      String out = new String(process.getInputStream().readAllBytes());
      String err = new String(process.getErrorStream().readAllBytes());
      assertTrue(process.waitFor(60, TimeUnit.SECONDS));
      return new Result(process.exitValue(), out, err);
    }

    /** What was handed to the program, after the JVM's own options. */
    List<String> arguments() {
      List<String> all =
          out.lines()
              .filter(line -> line.startsWith("arg="))
              .map(line -> line.substring(4))
              .toList();
      return all.subList(all.indexOf(Main.class.getName()) + 1, all.size());
    }

    long errorLines() {
      return err.lines().filter(line -> line.startsWith("error: ")).count();
    }
  }
}
