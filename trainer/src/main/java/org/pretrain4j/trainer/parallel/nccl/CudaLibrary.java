package org.pretrain4j.trainer.parallel.nccl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/**
 * One GPU through the CUDA driver, which every machine with a GPU has. It shares the primary
 * context with the CUDA runtime that libtorch uses, and so its memory and its default stream.
 */
final class CudaLibrary implements Gpu {
  /** CUDA_ERROR_NOT_READY: the event is still to come. */
  static final int NOT_READY = 600;

  /** CU_STREAM_NON_BLOCKING. */
  static final int NON_BLOCKING = 1;

  /** CU_EVENT_DISABLE_TIMING. */
  static final int DISABLE_TIMING = 2;

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
  private final long context;

  private CudaLibrary(NativeLibrary library, int device) {
    this.library = library;
    setCurrent = library.function("cuCtxSetCurrent", JAVA_INT, JAVA_LONG);
    eventRecord = library.function("cuEventRecord", JAVA_INT, JAVA_LONG, JAVA_LONG);
    eventQuery = library.function("cuEventQuery", JAVA_INT, JAVA_LONG);
    streamWait = library.function("cuStreamWaitEvent", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
    context = retainContext(device);
  }

  /**
   * Opens the driver and takes a GPU.
   *
   * @throws UserException if there is no driver or no such GPU
   */
  static CudaLibrary open(Map<String, String> environment, int device) {
    return new CudaLibrary(
        NativeLibrary.open(SEARCH, environment, "install NVIDIA's driver"), device);
  }

  /** Number of GPUs; 0 without a driver. */
  static int devices(Map<String, String> environment) {
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
      throw rethrow(e);
    }
  }

  private long retainContext(int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(8, 8);
      check("cuInit", (int) library.function("cuInit", JAVA_INT, JAVA_INT).invokeExact(0));
      MethodHandle get = library.function("cuDeviceGet", JAVA_INT, ADDRESS, JAVA_INT);
      int code = (int) get.invokeExact(cell, device);
      if (code != 0) {
        throw new UserException(
            "GPU %d is not there (cuDeviceGet: %s): start no more ranks on a machine than it has GPUs"
                .formatted(device, text(code)));
      }
      int handle = cell.get(JAVA_INT, 0);
      MethodHandle retain =
          library.function("cuDevicePrimaryCtxRetain", JAVA_INT, ADDRESS, JAVA_INT);
      check("cuDevicePrimaryCtxRetain", (int) retain.invokeExact(cell, handle));
      return cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public void use() {
    try {
      check("cuCtxSetCurrent", (int) setCurrent.invokeExact(context));
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public long createStream() {
    return create("cuStreamCreate", NON_BLOCKING);
  }

  @Override
  public void destroyStream(long stream) {
    destroy("cuStreamDestroy_v2", stream);
  }

  @Override
  public long createEvent() {
    return create("cuEventCreate", DISABLE_TIMING);
  }

  @Override
  public void destroyEvent(long event) {
    destroy("cuEventDestroy_v2", event);
  }

  private void destroy(String function, long handle) {
    use();
    try {
      MethodHandle destroy = library.function(function, JAVA_INT, JAVA_LONG);
      check(function, (int) destroy.invokeExact(handle));
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  private long create(String function, int flags) {
    use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MethodHandle create = library.function(function, JAVA_INT, ADDRESS, JAVA_INT);
      check(function, (int) create.invokeExact(cell, flags));
      return cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public void record(long event, long stream) {
    try {
      check("cuEventRecord", (int) eventRecord.invokeExact(event, stream));
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public void waitFor(long stream, long event) {
    try {
      check("cuStreamWaitEvent", (int) streamWait.invokeExact(stream, event, 0));
    } catch (Throwable e) {
      throw rethrow(e);
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
      throw rethrow(e);
    }
  }

  @Override
  public long allocate(long bytes) {
    use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MethodHandle allocate = library.function("cuMemAlloc_v2", JAVA_INT, ADDRESS, JAVA_LONG);
      check("cuMemAlloc", (int) allocate.invokeExact(cell, bytes));
      return cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public void free(long address) {
    use();
    try {
      MethodHandle free = library.function("cuMemFree_v2", JAVA_INT, JAVA_LONG);
      check("cuMemFree", (int) free.invokeExact(address));
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public void copyToGpu(long address, MemorySegment from) {
    try {
      MethodHandle copy =
          library.function("cuMemcpyHtoD_v2", JAVA_INT, JAVA_LONG, ADDRESS, JAVA_LONG);
      check("cuMemcpyHtoD", (int) copy.invokeExact(address, from, from.byteSize()));
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  @Override
  public void copyFromGpu(long address, MemorySegment into) {
    try {
      MethodHandle copy =
          library.function("cuMemcpyDtoH_v2", JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG);
      check("cuMemcpyDtoH", (int) copy.invokeExact(into, address, into.byteSize()));
    } catch (Throwable e) {
      throw rethrow(e);
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
      MethodHandle function = library.function("cuGetErrorString", JAVA_INT, JAVA_INT, ADDRESS);
      boolean known = (int) function.invokeExact(code, cell) == 0;
      MemorySegment text = cell.get(ADDRESS, 0);
      return known ? text.reinterpret(Long.MAX_VALUE).getString(0) : "CUDA error " + code;
    } catch (Throwable e) {
      throw rethrow(e);
    }
  }

  private static RuntimeException rethrow(Throwable e) {
    return switch (e) {
      case RuntimeException exception -> exception;
      case Error error -> throw error;
      default -> new IllegalStateException(e);
    };
  }
}
