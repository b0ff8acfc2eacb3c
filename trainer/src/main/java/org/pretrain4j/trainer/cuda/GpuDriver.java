package org.pretrain4j.trainer.cuda;

import java.lang.foreign.MemorySegment;

/**
 * What computing needs of CUDA beyond {@link Gpu}: kernels, copies that the host does not wait for,
 * and memory of the host that they can read and write. Each function makes the GPU the calling
 * thread's, where the driver asks for that.
 */
public interface GpuDriver extends Gpu {

  /** The GPU's name, such as "NVIDIA H100 80GB HBM3". */
  String name();

  /** Its compute capability, ten times the major number plus the minor one: 90 for Hopper. */
  int capability();

  /** Bytes of its memory. */
  long totalMemory();

  /** Bytes of its memory that all processes together have taken. */
  long usedMemory();

  /** An event that keeps its time. */
  long createTimingEvent();

  /** Time between two events of {@link #createTimingEvent} that are done. */
  double secondsBetween(long earlier, long later);

  /** Waits until all that is in the stream now is done. */
  void synchronize(long stream);

  /** Waits for an event; one that was never recorded counts as done. */
  void await(long event);

  /** Memory of the host that does not move: copies from and to it go on by themselves. */
  MemorySegment allocatePinned(long bytes);

  /** Frees what {@link #allocatePinned} gave. */
  void freePinned(MemorySegment memory);

  /** Copies within the stream; the memory must stay as it is until the copy is done. */
  void copyToGpu(long address, MemorySegment pinned, long stream);

  /** Copies within the stream; the values are there when the copy is done. */
  void copyFromGpu(long address, MemorySegment pinned, long stream);

  /**
   * Loads compiled code.
   *
   * @param image a cubin, or PTX that ends with a zero
   * @return the module
   */
  long loadModule(byte[] image);

  /** Gives back what {@link #loadModule} loaded. */
  void unloadModule(long module);

  /**
   * A kernel of a module.
   *
   * @throws IllegalStateException if the module has none of that name
   */
  long function(long module, String name);

  /**
   * Starts a kernel with a grid and blocks of one dimension.
   *
   * @param sharedBytes shared memory of a block, in bytes
   * @param arguments an array of pointers to the arguments, read before this returns
   */
  void launch(
      long function,
      long blocks,
      int threads,
      int sharedBytes,
      long stream,
      MemorySegment arguments);
}
