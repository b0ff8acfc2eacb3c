package org.pretrain4j.trainer.libtorch;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.pretrain4j.configuration.UserException;

/**
 * The libtorch that {@code PYTORCH_LIBRARY_PATH} names, as its own files describe it. DJL believes
 * the other variables instead, so they are compared before it loads anything.
 *
 * @param folder of its libraries
 * @param version such as 2.7.1+cu128, where it says so
 * @param flavor such as cu128 or cpu, where it can be told
 */
record InstalledLibtorch(Path folder, Optional<String> version, Optional<String> flavor) {
  static final String PATH_VARIABLE = "PYTORCH_LIBRARY_PATH";
  static final String VERSION_VARIABLE = "PYTORCH_VERSION";
  static final String FLAVOR_VARIABLE = "PYTORCH_FLAVOR";

  /** What decides whether two versions fit: not the build's own suffix. */
  private static final Pattern NUMBERS = Pattern.compile("\\d+\\.\\d+(\\.\\d+)?");

  private static final Pattern LOCAL_CUDA = Pattern.compile(".*\\+(cu\\d+).*");
  private static final Pattern PYTHON_VERSION =
      Pattern.compile("__version__\\s*=\\s*['\"]([^'\"]+)['\"].*");
  private static final Pattern PYTHON_CUDA =
      Pattern.compile("cuda\\b.*=\\s*['\"](\\d+)\\.(\\d+).*");

  /**
   * Looks at the folder that the environment names.
   *
   * @return empty if it names none
   * @throws UserException if there is no libtorch in it
   */
  static Optional<InstalledLibtorch> named(Map<String, String> environment) {
    String path = environment.getOrDefault(PATH_VARIABLE, "");
    if (path.isBlank()) {
      return Optional.empty();
    }
    String name = System.mapLibraryName("torch");
    return Stream.of(path.split(File.pathSeparator))
        .map(Path::of)
        .map(entry -> entry.endsWith(name) ? entry.toAbsolutePath().getParent() : entry)
        .filter(folder -> Files.isRegularFile(folder.resolve(name)))
        .findFirst()
        .map(InstalledLibtorch::at)
        .or(
            () -> {
              throw new UserException(
                  "%s is %s, but there is no %s: set it to the lib folder of an installed libtorch"
                      .formatted(PATH_VARIABLE, path, name));
            });
  }

  private static InstalledLibtorch at(Path folder) {
    Path root = folder.toAbsolutePath().normalize().getParent();
    List<String> python = lines(root.resolve("version.py"));
    Optional<String> version =
        lines(root.resolve("build-version")).stream()
            .filter(line -> !line.isBlank())
            .findFirst()
            .map(String::strip)
            .or(() -> first(python, PYTHON_VERSION).map(found -> found.group(1)));
    boolean cuda = Files.exists(folder.resolve(System.mapLibraryName("torch_cuda")));
    Optional<String> flavor =
        cuda
            ? version
                .map(LOCAL_CUDA::matcher)
                .filter(Matcher::matches)
                .map(found -> found.group(1))
                .or(
                    () ->
                        first(python, PYTHON_CUDA)
                            .map(found -> "cu" + found.group(1) + found.group(2)))
            : Optional.of("cpu");
    return new InstalledLibtorch(folder, version, flavor);
  }

  private static Optional<Matcher> first(List<String> lines, Pattern pattern) {
    return lines.stream().map(pattern::matcher).filter(Matcher::matches).findFirst();
  }

  private static List<String> lines(Path file) {
    try {
      return Files.exists(file) ? Files.readAllLines(file) : List.of();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Compares what DJL will be told with what is there.
   *
   * @param jni what the class path holds to call a libtorch
   * @param offline whether DJL may not download what is missing
   * @throws UserException if they differ, or if there is nothing to call this libtorch with
   */
  void require(Map<String, String> environment, BundledJni jni, boolean offline) {
    String told = environment.getOrDefault(VERSION_VARIABLE, "");
    String assumed = told.isBlank() ? jni.libtorch() : told;
    if (version.isPresent() && !numbers(version.get()).equals(numbers(assumed))) {
      throw new UserException(
          "%s is %s, but the libtorch in %s is version %s: set %s=%s"
              .formatted(
                  VERSION_VARIABLE,
                  told.isBlank() ? "not set, which stands for " + assumed : told,
                  folder,
                  version.get(),
                  VERSION_VARIABLE,
                  numbers(version.get())));
    }
    String named = environment.getOrDefault(FLAVOR_VARIABLE, "");
    if (named.isBlank() || flavor.isPresent() && !flavor.get().equals(named)) {
      throw new UserException(
          "%s is %s, but the libtorch in %s is %s: set %s=%s"
              .formatted(
                  FLAVOR_VARIABLE,
                  named.isBlank() ? "not set" : named,
                  folder,
                  flavor.map(known -> "of flavor " + known).orElse("for CUDA"),
                  FLAVOR_VARIABLE,
                  flavor.orElse("cu and the digits of its CUDA, such as cu128")));
    }
    if (offline && !jni.serves(folder, assumed, named)) {
      throw new UserException(
          "nothing can call the libtorch %s with %s in %s: this program brings DJL's JNI library for %s with %s; install one of those, or put a JNI library built for yours there as %s (docs/operations.md says how)"
              .formatted(
                  assumed,
                  named,
                  folder,
                  jni.libtorch(),
                  String.join(" and ", jni.flavors()),
                  jni.fileName()));
    }
  }

  /** A version without what its builder appended. */
  static String numbers(String version) {
    Matcher matcher = NUMBERS.matcher(version);
    return matcher.lookingAt() ? matcher.group() : version;
  }
}
