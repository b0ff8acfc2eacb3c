package org.pretrain4j.trainer.libtorch;

import ai.djl.engine.Engine;
import ai.djl.pytorch.jni.LibUtils;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The libtorch of this process.
 *
 * @param version such as 2.7.1, as its own files say where it is an installed one
 * @param folder of its libraries
 * @param cuda whether it was built for CUDA
 * @param flavor such as cu128; says for which CUDA
 */
public record LibtorchBuild(String version, Path folder, boolean cuda, Optional<String> flavor) {
  private static final Pattern FLAVOR = Pattern.compile(".*\\b(cu\\d{3})\\b.*");
  private static final Pattern CUDA = Pattern.compile("cu(\\d{2})(\\d).*");

  /** Loads libtorch, if nobody has, and looks at it. */
  public static LibtorchBuild loaded() {
    Libtorch.load();
    Path folder = Path.of(LibUtils.getLibtorchPath());
    boolean cuda = Files.exists(folder.resolve("libtorch_cuda.so"));
    Optional<InstalledLibtorch> installed = InstalledLibtorch.named(Libtorch.environment());
    // DJL keeps its own libtorch in a folder that is called after version, flavor and platform.
    Matcher own = FLAVOR.matcher(String.valueOf(folder.getFileName()));
    return new LibtorchBuild(
        installed
            .flatMap(InstalledLibtorch::version)
            .orElseGet(() -> Engine.getEngine(Libtorch.ENGINE).getVersion()),
        folder,
        cuda,
        installed.isPresent()
            ? installed.get().flavor()
            : own.matches() ? Optional.of(own.group(1)) : Optional.empty());
  }

  /** Major version of the CUDA that it was built for, if that is known. */
  public Optional<Integer> cudaMajor() {
    return flavor
        .map(CUDA::matcher)
        .filter(Matcher::matches)
        .map(found -> Integer.valueOf(found.group(1)));
  }
}
