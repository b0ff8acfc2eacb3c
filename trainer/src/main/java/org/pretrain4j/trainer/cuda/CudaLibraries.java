package org.pretrain4j.trainer.cuda;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
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
    Path libtorch = LibtorchBuild.loaded().folder();
    return NativeLibrary.open(
        search(product, stem, variable, libtorch),
        environment,
        "it comes with a libtorch for CUDA and with the CUDA toolkit");
  }

  static NativeLibrary.Search search(String product, String stem, String variable, Path libtorch) {
    List<String> names = new ArrayList<>(files(stem, libtorch));
    VERSIONS.forEach(version -> names.add("lib" + stem + ".so." + version));
    List<String> folders = new ArrayList<>(List.of(libtorch.toString()));
    folders.addAll(SYSTEM);
    return new NativeLibrary.Search(product, variable, names, folders);
  }

  /** Files beside libtorch, and in {@code ../../nvidia/*}{@code /lib} as pip installs them. */
  private static List<String> files(String stem, Path libtorch) {
    Pattern name = Pattern.compile("lib" + stem + "(-[0-9a-f]+)?\\.so(\\.\\d+)*");
    List<String> found = new ArrayList<>(matching(libtorch, name));
    Path packages = libtorch.toAbsolutePath().normalize().resolve("../../nvidia").normalize();
    for (Path folder : list(packages)) {
      found.addAll(matching(folder.resolve("lib"), name));
    }
    return found;
  }

  private static List<String> matching(Path folder, Pattern name) {
    return list(folder).stream()
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
