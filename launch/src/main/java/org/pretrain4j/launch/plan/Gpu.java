package org.pretrain4j.launch.plan;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import org.pretrain4j.configuration.UserException;

/**
 * A kind of GPU.
 *
 * @param name how the command line calls it
 * @param peakFlops dense bf16 peak of the data sheet in FLOP/s
 * @param memoryBytes memory that the driver reports, in bytes
 * @param nodeBusBandwidth bandwidth of collectives among the GPUs of a node, in bytes/s, as bus
 *     bandwidth: bytes of the buffer, times (n-1)/n for a reduce-scatter or an all-gather, by time
 * @param clusterBusBandwidth the same over several nodes of eight GPUs with a 400 Gbit/s adapter
 *     each
 */
public record Gpu(
    String name,
    double peakFlops,
    long memoryBytes,
    double nodeBusBandwidth,
    double clusterBusBandwidth) {
  private static final long MIB = 1L << 20;

  /** GPUs of a node. */
  public static final int PER_NODE = 8;

  /**
   * Peaks are those of NVIDIA's data sheets without sparsity. The H100's bandwidths are those
   * measured for the reference run (480 GB/s in a node, 320 to 350 between nodes); the others are
   * the H100's, scaled by their NVLink.
   */
  private static final List<Gpu> KNOWN =
      List.of(
          new Gpu("a100", 312e12, 81_920 * MIB, 230e9, 160e9),
          new Gpu("b200", 2_250e12, 183_359 * MIB, 900e9, 330e9),
          new Gpu("h100", 989.4e12, 81_559 * MIB, 480e9, 330e9),
          new Gpu("h200", 989.4e12, 143_771 * MIB, 480e9, 330e9));

  /**
   * The kind that a driver's name means, such as "NVIDIA H100 80GB HBM3"; none for cards with
   * another clock or memory of the same chip.
   */
  public static Optional<Gpu> ofDriver(String driverName) {
    String upper = driverName.toUpperCase(Locale.ROOT);
    return KNOWN.stream()
        .filter(gpu -> upper.contains(gpu.name.toUpperCase(Locale.ROOT)))
        .filter(gpu -> !upper.contains("PCIE") && !upper.contains("NVL") && !upper.contains("MIG"))
        .findFirst();
  }

  /**
   * Looks a GPU up.
   *
   * @throws UserException if there is none of that name
   */
  public static Gpu named(String name) {
    return KNOWN.stream()
        .filter(gpu -> gpu.name.equalsIgnoreCase(name))
        .min(Comparator.comparing(Gpu::name))
        .orElseThrow(
            () ->
                new UserException(
                    "unknown GPU "
                        + name
                        + ", expected one of "
                        + names()
                        + "; for another one add"
                        + " --peak-flops and --memory to the one that is nearest"));
  }

  /** The names that {@link #named} knows. */
  public static String names() {
    return KNOWN.stream().map(Gpu::name).collect(Collectors.joining(", "));
  }
}
