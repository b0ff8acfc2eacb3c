package org.pretrain4j.trainer.cuda;

import java.lang.foreign.MemorySegment;

/**
 * What communication needs of CUDA: streams, events, a little memory. Handles are addresses.
 *
 * @see GpuDriver
 */
public interface Gpu {
  /** The stream of libtorch's kernels unless it is told otherwise. */
  long DEFAULT_STREAM = 0;

  /** Makes this GPU the calling thread's. */
  void use();

  /** A stream that doesn't wait for the default stream. */
  long createStream();

  void destroyStream(long stream);

  long createEvent();

  void destroyEvent(long event);

  /** The event will be done when all work is that is now in the stream. */
  void record(long event, long stream);

  /** Work that enters the stream from now on starts after the event. */
  void waitFor(long stream, long event);

  boolean isDone(long event);

  long allocate(long bytes);

  void free(long address);

  void copyToGpu(long address, MemorySegment from);

  void copyFromGpu(long address, MemorySegment into);
}
