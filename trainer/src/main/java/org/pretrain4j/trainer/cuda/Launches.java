package org.pretrain4j.trainer.cuda;

import java.util.function.UnaryOperator;
import org.pretrain4j.trainer.libtorch.ScalarType;

/** What the launches of all kernels share: names by type and width, and plain grids. */
final class Launches {
  /** Threads of a block where each thread works for itself. */
  static final int THREADS = 256;

  /** Bytes that a thread reads or writes at once at most. */
  static final int VECTOR_BYTES = 16;

  static final int WARP = 32;

  private final KernelLauncher launcher;
  private final KernelArguments arguments = new KernelArguments();

  Launches(KernelLauncher launcher) {
    this.launcher = launcher;
  }

  /**
   * Elements that a thread takes at once: as many as 16 bytes hold where all addresses and the
   * length of a row allow it, else one.
   */
  static int rowWidth(ScalarType type, int columns, long... addresses) {
    int elements = VECTOR_BYTES / type.bytes();
    return columns % elements == 0 ? width(type, addresses) : 1;
  }

  /** The same for arrays, whose last elements kernels take one by one. */
  static int width(ScalarType type, long... addresses) {
    long together = 0;
    for (long address : addresses) {
      together |= address;
    }
    return together % VECTOR_BYTES == 0 ? VECTOR_BYTES / type.bytes() : 1;
  }

  static String suffix(ScalarType type) {
    return type == ScalarType.BFLOAT16 ? "_bf16" : "_f32";
  }

  static String suffix(ScalarType type, int width) {
    return suffix(type) + "_x" + width;
  }

  /** Starts a kernel in which each thread takes one of so many items. */
  void forItems(String kernel, long items, UnaryOperator<KernelArguments> append) {
    launch(kernel, Math.ceilDiv(items, THREADS), THREADS, 0, append);
  }

  /** Starts a kernel, unless it has no blocks. */
  void launch(
      String kernel,
      long blocks,
      int threads,
      int sharedBytes,
      UnaryOperator<KernelArguments> append) {
    if (blocks > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(kernel + " in " + blocks + " blocks");
    }
    if (blocks > 0) {
      launcher.launch(kernel, blocks, threads, sharedBytes, append.apply(arguments.clear()));
    }
  }
}
