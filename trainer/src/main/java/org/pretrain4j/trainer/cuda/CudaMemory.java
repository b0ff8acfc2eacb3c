package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The driver's memory, of the GPU and pinned on the host, and copies between the two. */
final class CudaMemory {
  /** CU_MEMHOSTALLOC_PORTABLE: pinned for all contexts. */
  static final int PORTABLE = 1;

  private final CudaApi api;
  private final CudaContext context;
  private final MethodHandle allocate;
  private final MethodHandle free;
  private final MethodHandle allocatePinned;
  private final MethodHandle freePinned;
  private final MethodHandle copyToGpu;
  private final MethodHandle copyFromGpu;
  private final MethodHandle copyToGpuAsync;
  private final MethodHandle copyFromGpuAsync;

  CudaMemory(CudaApi api, CudaContext context) {
    this.api = api;
    this.context = context;
    allocate = api.function("cuMemAlloc_v2", ADDRESS, JAVA_LONG);
    free = api.function("cuMemFree_v2", JAVA_LONG);
    allocatePinned = api.function("cuMemHostAlloc", ADDRESS, JAVA_LONG, JAVA_INT);
    freePinned = api.function("cuMemFreeHost", ADDRESS);
    copyToGpu = api.function("cuMemcpyHtoD_v2", JAVA_LONG, ADDRESS, JAVA_LONG);
    copyFromGpu = api.function("cuMemcpyDtoH_v2", ADDRESS, JAVA_LONG, JAVA_LONG);
    copyToGpuAsync = api.function("cuMemcpyHtoDAsync_v2", JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG);
    copyFromGpuAsync =
        api.function("cuMemcpyDtoHAsync_v2", ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG);
  }

  long allocate(long bytes) {
    context.use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      api.check("cuMemAlloc", () -> (int) allocate.invokeExact(cell, bytes));
      return cell.get(JAVA_LONG, 0);
    }
  }

  void free(long address) {
    context.use();
    api.check("cuMemFree", () -> (int) free.invokeExact(address));
  }

  @SuppressWarnings("restricted") // the driver gives as many bytes as it was asked for
  MemorySegment allocatePinned(long bytes) {
    context.use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(ADDRESS);
      api.check("cuMemHostAlloc", () -> (int) allocatePinned.invokeExact(cell, bytes, PORTABLE));
      return cell.get(ADDRESS, 0).reinterpret(bytes);
    }
  }

  void freePinned(MemorySegment memory) {
    context.use();
    api.check("cuMemFreeHost", () -> (int) freePinned.invokeExact(memory));
  }

  void copyToGpu(long address, MemorySegment from) {
    context.use();
    api.check("cuMemcpyHtoD", () -> (int) copyToGpu.invokeExact(address, from, from.byteSize()));
  }

  void copyFromGpu(long address, MemorySegment into) {
    context.use();
    api.check("cuMemcpyDtoH", () -> (int) copyFromGpu.invokeExact(into, address, into.byteSize()));
  }

  void copyToGpu(long address, MemorySegment pinned, long stream) {
    context.use();
    api.check(
        "cuMemcpyHtoDAsync",
        () -> (int) copyToGpuAsync.invokeExact(address, pinned, pinned.byteSize(), stream));
  }

  void copyFromGpu(long address, MemorySegment pinned, long stream) {
    context.use();
    api.check(
        "cuMemcpyDtoHAsync",
        () -> (int) copyFromGpuAsync.invokeExact(pinned, address, pinned.byteSize(), stream));
  }
}
