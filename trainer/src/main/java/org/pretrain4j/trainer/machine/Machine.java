package org.pretrain4j.trainer.machine;

import ai.djl.engine.Engine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.pretrain4j.trainer.device.ComputeDevice;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;

/**
 * What a measurement ran on.
 *
 * @param processor its name, where the system tells
 * @param processors that the JVM may use
 * @param matrixInstructions instructions for bfloat16 that the processor has
 * @param mkl whether products of bfloat16 by MKL are used
 * @param operatingSystem name and version
 * @param java version
 * @param libtorch version
 * @param device that computed
 * @param threads that computed on the host
 * @param environment the variables that are set of those that libtorch, its libraries and memory
 *     listen to
 */
public record Machine(
    String processor,
    int processors,
    List<String> matrixInstructions,
    boolean mkl,
    String operatingSystem,
    String java,
    String libtorch,
    String device,
    int threads,
    Map<String, String> environment) {
  private static final List<String> HEEDED =
      List.of("DNNL_", "GOMP_", "KMP_", "MALLOC_", "MKL_", "OMP_", "ONEDNN_", "THP_MEM_ALLOC_");

  /** This machine, with what it computes on. */
  public static Machine here(ComputeDevice device) {
    List<String> lines = processorLines();
    List<String> flags =
        lines.stream()
            .filter(line -> line.startsWith("flags"))
            .findFirst()
            .map(line -> Arrays.asList(line.split("\\s+")))
            .orElse(List.of());
    return new Machine(
        lines.stream()
            .filter(line -> line.startsWith("model name"))
            .findFirst()
            .map(line -> line.substring(line.indexOf(':') + 1).strip())
            .orElse(System.getProperty("os.arch")),
        Runtime.getRuntime().availableProcessors(),
        flags.stream().filter(List.of("avx512_bf16", "amx_bf16")::contains).sorted().toList(),
        MklGemm.of(ScalarType.BFLOAT16).isPresent(),
        System.getProperty("os.name") + " " + System.getProperty("os.version"),
        Runtime.version().toString(),
        Engine.getEngine("PyTorch").getVersion(),
        device.describe(),
        device.pool().threads(),
        heeded(System.getenv()));
  }

  static Map<String, String> heeded(Map<String, String> environment) {
    Map<String, String> found = new TreeMap<>(environment);
    found.keySet().removeIf(name -> HEEDED.stream().noneMatch(name::startsWith));
    return found;
  }

  private static List<String> processorLines() {
    try {
      return Files.readAllLines(Path.of("/proc/cpuinfo"));
    } catch (IOException e) {
      return List.of();
    }
  }
}
