package org.pretrain4j.trainer.cuda;

import static java.util.Comparator.comparing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.pretrain4j.trainer.libtorch.LibtorchBuild;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/**
 * Finds the libraries of CUDA's toolkit that libtorch brings along: beside libtorch itself, where
 * their names may carry a hash, in the folders of NVIDIA's Python packages next to it, or on the
 * machine.
 */
final class CudaLibraries {
  private static final List<String> SYSTEM =
      List.of(
          "/usr/local/cuda/lib64",
          "/usr/lib/x86_64-linux-gnu",
          "/usr/lib/aarch64-linux-gnu",
          "/usr/lib64");

  /** Of the versions of CUDA that libtorch 2.7 and newer are built for. */
  private static final List<String> VERSIONS = List.of("13", "12");

  private CudaLibraries() {}

  /**
   * Opens a library.
   *
   * @param stem its name without lib and without what follows, such as {@code nvrtc}
   * @param variable of the environment that names its file
   * @throws org.pretrain4j.configuration.UserException if it is nowhere
   */
  static NativeLibrary open(
      String product, String stem, String variable, Map<String, String> environment) {
    return NativeLibrary.open(
        search(product, stem, variable, LibtorchBuild.loaded(), mapped()),
        environment,
        "it comes with a libtorch for CUDA and with the CUDA toolkit");
  }

  /**
   * Where a library may lie, best first: the very file that is loaded already, then those of the
   * CUDA that libtorch was built for.
   *
   * @param mapped files in this process's memory
   */
  static NativeLibrary.Search search(
      String product, String stem, String variable, LibtorchBuild libtorch, List<Path> mapped) {
    Pattern name = Pattern.compile("lib" + stem + "(-[0-9a-f]+)?\\.so(\\.\\d+)*");
    List<String> versions = new ArrayList<>(VERSIONS);
    Optional<String> built = libtorch.cudaMajor().map(String::valueOf);
    built.ifPresent(
        major -> {
          versions.remove(major);
          versions.addFirst(major);
        });
    List<String> installed = new ArrayList<>(files(name, libtorch.folder()));
    // Stable: what fits comes first, each kind in the order in which it was found.
    built.ifPresent(major -> installed.sort(comparing(file -> !file.contains(".so." + major))));
    List<String> names = new ArrayList<>(matching(mapped, name));
    names.addAll(installed);
    versions.forEach(version -> names.add("lib" + stem + ".so." + version));
    List<String> folders = new ArrayList<>(List.of(libtorch.folder().toString()));
    folders.addAll(SYSTEM);
    return new NativeLibrary.Search(product, variable, names.stream().distinct().toList(), folders);
  }

  /** Files that are mapped into this process; none where the system does not tell. */
  private static List<Path> mapped() {
    Path maps = Path.of("/proc/self/maps");
    if (!Files.exists(maps)) {
      return List.of();
    }
    try {
      return Files.readAllLines(maps, StandardCharsets.ISO_8859_1).stream()
          .filter(line -> line.contains("/"))
          .map(line -> line.substring(line.indexOf('/')))
          .distinct()
          .map(Path::of)
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Files beside libtorch, and in {@code ../../nvidia/*}{@code /lib} as pip installs them. */
  private static List<String> files(Pattern name, Path libtorch) {
    List<String> found = new ArrayList<>(matching(list(libtorch), name));
    Path packages = libtorch.toAbsolutePath().normalize().resolve("../../nvidia").normalize();
    for (Path folder : list(packages)) {
      found.addAll(matching(list(folder.resolve("lib")), name));
    }
    return found;
  }

  private static List<String> matching(List<Path> files, Pattern name) {
    return files.stream()
        .filter(file -> name.matcher(file.getFileName().toString()).matches())
        .map(Path::toString)
        .toList();
  }

  private static List<Path> list(Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.sorted().toList();
    } catch (IOException e) {
      return List.of(); // what can't be read holds no library for this process
    }
  }
}
