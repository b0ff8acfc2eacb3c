package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.natives.NativeCall;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/**
 * One GPU through the CUDA driver, which every machine with a GPU has. It shares the primary
 * context with the CUDA runtime that libtorch uses, and so its memory and its default stream.
 */
public final class CudaDriver implements GpuDriver {
  /** CUDA_ERROR_NOT_READY: the event is still to come. */
  static final int NOT_READY = 600;

  /** CU_STREAM_NON_BLOCKING. */
  static final int NON_BLOCKING = 1;

  /** CU_EVENT_DISABLE_TIMING. */
  static final int DISABLE_TIMING = 2;

  /** CU_MEMHOSTALLOC_PORTABLE: pinned for all contexts. */
  static final int PORTABLE = 1;

  /** CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR. */
  static final int CAPABILITY_MAJOR = 75;

  static final int CAPABILITY_MINOR = 76;

  private static final int NAME_BYTES = 256;

  private static final NativeLibrary.Search SEARCH =
      new NativeLibrary.Search(
          "The CUDA driver",
          "PRETRAIN4J_LIBCUDA",
          List.of("libcuda.so.1", "libcuda.so"),
          List.of(
              "/usr/lib/x86_64-linux-gnu",
              "/usr/lib/aarch64-linux-gnu",
              "/usr/lib64",
              "/usr/local/nvidia/lib64"));

  private final NativeLibrary library;
  private final MethodHandle setCurrent;
  private final MethodHandle eventRecord;
  private final MethodHandle eventQuery;
  private final MethodHandle streamWait;
  private final MethodHandle launchKernel;
  private final MethodHandle copyToGpuAsync;
  private final MethodHandle copyFromGpuAsync;
  private final int device;
  private final long context;

  private CudaDriver(NativeLibrary library, int index) {
    this.library = library;
    setCurrent = library.function("cuCtxSetCurrent", JAVA_INT, JAVA_LONG);
    eventRecord = library.function("cuEventRecord", JAVA_INT, JAVA_LONG, JAVA_LONG);
    eventQuery = library.function("cuEventQuery", JAVA_INT, JAVA_LONG);
    streamWait = library.function("cuStreamWaitEvent", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
    launchKernel =
        library.function(
            "cuLaunchKernel",
            JAVA_INT,
            JAVA_LONG, // function
            JAVA_INT, // blocks: x, y, z
            JAVA_INT,
            JAVA_INT,
            JAVA_INT, // threads: x, y, z
            JAVA_INT,
            JAVA_INT,
            JAVA_INT, // shared bytes
            JAVA_LONG, // stream
            ADDRESS, // arguments
            ADDRESS); // extra
    copyToGpuAsync =
        library.function(
            "cuMemcpyHtoDAsync_v2", JAVA_INT, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG);
    copyFromGpuAsync =
        library.function(
            "cuMemcpyDtoHAsync_v2", JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    device = deviceOf(index);
    context = retainContext();
  }

  /**
   * Opens the driver and takes a GPU.
   *
   * @throws UserException if there is no driver or no such GPU
   */
  public static CudaDriver open(Map<String, String> environment, int device) {
    return new CudaDriver(
        NativeLibrary.open(SEARCH, environment, "install NVIDIA's driver"), device);
  }

  /** Whether this machine has a driver, with or without GPUs. */
  public static boolean isPresent(Map<String, String> environment) {
    return NativeLibrary.find(SEARCH, environment).isPresent();
  }

  /** Number of GPUs; 0 without a driver. */
  public static int devices(Map<String, String> environment) {
    Optional<NativeLibrary> library = NativeLibrary.find(SEARCH, environment);
    if (library.isEmpty()) {
      return 0;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(JAVA_INT);
      int started = (int) library.get().function("cuInit", JAVA_INT, JAVA_INT).invokeExact(0);
      int code =
          started != 0
              ? started
              : (int)
                  library.get().function("cuDeviceGetCount", JAVA_INT, ADDRESS).invokeExact(count);
      return code == 0 ? count.get(JAVA_INT, 0) : 0;
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  private int deviceOf(int index) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_INT);
      check("cuInit", (int) function("cuInit", JAVA_INT).invokeExact(0));
      int code = (int) function("cuDeviceGet", ADDRESS, JAVA_INT).invokeExact(cell, index);
      if (code != 0) {
        throw new UserException(
            "GPU %d is not there (cuDeviceGet: %s): start no more ranks on a machine than it has GPUs"
                .formatted(index, text(code)));
      }
      return cell.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  private long retainContext() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MethodHandle retain = function("cuDevicePrimaryCtxRetain", ADDRESS, JAVA_INT);
      check("cuDevicePrimaryCtxRetain", (int) retain.invokeExact(cell, device));
      return cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  private MethodHandle function(String name, MemoryLayout... arguments) {
    return library.function(name, JAVA_INT, arguments);
  }

  @Override
  public String name() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocate(NAME_BYTES);
      MethodHandle get = function("cuDeviceGetName", ADDRESS, JAVA_INT, JAVA_INT);
      check("cuDeviceGetName", (int) get.invokeExact(name, NAME_BYTES, device));
      return name.getString(0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public int capability() {
    return 10 * attribute(CAPABILITY_MAJOR) + attribute(CAPABILITY_MINOR);
  }

  private int attribute(int attribute) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_INT);
      MethodHandle get = function("cuDeviceGetAttribute", ADDRESS, JAVA_INT, JAVA_INT);
      check("cuDeviceGetAttribute", (int) get.invokeExact(cell, attribute, device));
      return cell.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public long totalMemory() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MethodHandle get = function("cuDeviceTotalMem_v2", ADDRESS, JAVA_INT);
      check("cuDeviceTotalMem", (int) get.invokeExact(cell, device));
      return cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void use() {
    try {
      check("cuCtxSetCurrent", (int) setCurrent.invokeExact(context));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public long createStream() {
    return create("cuStreamCreate", NON_BLOCKING);
  }

  @Override
  public long createEvent() {
    return create("cuEventCreate", DISABLE_TIMING);
  }

  private long create(String function, int flags) {
    use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      check(function, (int) function(function, ADDRESS, JAVA_INT).invokeExact(cell, flags));
      return cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void record(long event, long stream) {
    try {
      check("cuEventRecord", (int) eventRecord.invokeExact(event, stream));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void waitFor(long stream, long event) {
    try {
      check("cuStreamWaitEvent", (int) streamWait.invokeExact(stream, event, 0));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public boolean isDone(long event) {
    try {
      int code = (int) eventQuery.invokeExact(event);
      if (code != NOT_READY) {
        check("cuEventQuery", code);
      }
      return code == 0;
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void synchronize(long stream) {
    onHandle("cuStreamSynchronize", stream);
  }

  @Override
  public void await(long event) {
    onHandle("cuEventSynchronize", event);
  }

  @Override
  public void destroyEvent(long event) {
    onHandle("cuEventDestroy_v2", event);
  }

  @Override
  public void destroyStream(long stream) {
    onHandle("cuStreamDestroy_v2", stream);
  }

  private void onHandle(String function, long handle) {
    use();
    try {
      check(function, (int) function(function, JAVA_LONG).invokeExact(handle));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public long allocate(long bytes) {
    use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MethodHandle allocate = function("cuMemAlloc_v2", ADDRESS, JAVA_LONG);
      check("cuMemAlloc", (int) allocate.invokeExact(cell, bytes));
      return cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void free(long address) {
    onHandle("cuMemFree_v2", address);
  }

  @Override
  @SuppressWarnings("restricted") // the driver gives as many bytes as it was asked for
  public MemorySegment allocatePinned(long bytes) {
    use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(ADDRESS);
      MethodHandle allocate = function("cuMemHostAlloc", ADDRESS, JAVA_LONG, JAVA_INT);
      check("cuMemHostAlloc", (int) allocate.invokeExact(cell, bytes, PORTABLE));
      return cell.get(ADDRESS, 0).reinterpret(bytes);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void freePinned(MemorySegment memory) {
    use();
    try {
      check("cuMemFreeHost", (int) function("cuMemFreeHost", ADDRESS).invokeExact(memory));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void copyToGpu(long address, MemorySegment from) {
    try {
      MethodHandle copy = function("cuMemcpyHtoD_v2", JAVA_LONG, ADDRESS, JAVA_LONG);
      check("cuMemcpyHtoD", (int) copy.invokeExact(address, from, from.byteSize()));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void copyFromGpu(long address, MemorySegment into) {
    try {
      MethodHandle copy = function("cuMemcpyDtoH_v2", ADDRESS, JAVA_LONG, JAVA_LONG);
      check("cuMemcpyDtoH", (int) copy.invokeExact(into, address, into.byteSize()));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void copyToGpu(long address, MemorySegment pinned, long stream) {
    use();
    try {
      check(
          "cuMemcpyHtoDAsync",
          (int) copyToGpuAsync.invokeExact(address, pinned, pinned.byteSize(), stream));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void copyFromGpu(long address, MemorySegment pinned, long stream) {
    use();
    try {
      check(
          "cuMemcpyDtoHAsync",
          (int) copyFromGpuAsync.invokeExact(pinned, address, pinned.byteSize(), stream));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public long loadModule(byte[] image) {
    use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MemorySegment copy = arena.allocate(image.length, Long.BYTES);
      copy.copyFrom(MemorySegment.ofArray(image));
      MethodHandle load = function("cuModuleLoadData", ADDRESS, ADDRESS);
      check("cuModuleLoadData", (int) load.invokeExact(cell, copy));
      return cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public long function(long module, String name) {
    use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MethodHandle get = function("cuModuleGetFunction", ADDRESS, JAVA_LONG, ADDRESS);
      check(
          "cuModuleGetFunction of " + name,
          (int) get.invokeExact(cell, module, arena.allocateFrom(name)));
      return cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void launch(
      long function,
      long blocks,
      int threads,
      int sharedBytes,
      long stream,
      MemorySegment arguments) {
    use();
    try {
      check(
          "cuLaunchKernel",
          (int)
              launchKernel.invokeExact(
                  function,
                  Math.toIntExact(blocks),
                  1,
                  1,
                  threads,
                  1,
                  1,
                  sharedBytes,
                  stream,
                  arguments,
                  MemorySegment.NULL));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  private void check(String call, int code) {
    if (code != 0) {
      throw new IllegalStateException(call + " failed: " + text(code));
    }
  }

  @SuppressWarnings("restricted") // a C string that the driver owns
  private String text(int code) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(ADDRESS);
      MethodHandle function = function("cuGetErrorString", JAVA_INT, ADDRESS);
      boolean known = (int) function.invokeExact(code, cell) == 0;
      MemorySegment text = cell.get(ADDRESS, 0);
      return known ? text.reinterpret(Long.MAX_VALUE).getString(0) : "CUDA error " + code;
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }
}
