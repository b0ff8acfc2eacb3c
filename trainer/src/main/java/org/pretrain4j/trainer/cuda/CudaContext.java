package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.natives.NativeCall;

/**
 * One GPU and its primary context, which the CUDA runtime and so libtorch use too. It stays
 * retained until the process ends.
 */
final class CudaContext {
  /** CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR. */
  static final int CAPABILITY_MAJOR = 75;

  static final int CAPABILITY_MINOR = 76;

  private static final int NAME_BYTES = 256;

  private final CudaApi api;
  private final MethodHandle getName;
  private final MethodHandle getAttribute;
  private final MethodHandle totalMemory;
  private final MethodHandle memoryInfo;
  private final MethodHandle setCurrent;
  private final int device;
  private final long context;

  /**
   * @throws UserException if there is no GPU of that number
   */
  CudaContext(CudaApi api, int index) {
    this.api = api;
    getName = api.function("cuDeviceGetName", ADDRESS, JAVA_INT, JAVA_INT);
    getAttribute = api.function("cuDeviceGetAttribute", ADDRESS, JAVA_INT, JAVA_INT);
    totalMemory = api.function("cuDeviceTotalMem_v2", ADDRESS, JAVA_INT);
    memoryInfo = api.function("cuMemGetInfo_v2", ADDRESS, ADDRESS);
    setCurrent = api.function("cuCtxSetCurrent", JAVA_LONG);
    device = deviceOf(index);
    context = retain();
  }

  private int deviceOf(int index) {
    MethodHandle initialize = api.function("cuInit", JAVA_INT);
    MethodHandle get = api.function("cuDeviceGet", ADDRESS, JAVA_INT);
    api.check("cuInit", () -> (int) initialize.invokeExact(0));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_INT);
      int code = NativeCall.code(() -> (int) get.invokeExact(cell, index));
      if (code != 0) {
        throw new UserException(
            "GPU %d is not there (cuDeviceGet: %s): start no more ranks on a machine than it has GPUs"
                .formatted(index, api.text(code)));
      }
      return cell.get(JAVA_INT, 0);
    }
  }

  private long retain() {
    MethodHandle retain = api.function("cuDevicePrimaryCtxRetain", ADDRESS, JAVA_INT);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      api.check("cuDevicePrimaryCtxRetain", () -> (int) retain.invokeExact(cell, device));
      return cell.get(JAVA_LONG, 0);
    }
  }

  /** Makes the GPU the calling thread's. */
  void use() {
    api.check("cuCtxSetCurrent", () -> (int) setCurrent.invokeExact(context));
  }

  String name() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocate(NAME_BYTES);
      api.check("cuDeviceGetName", () -> (int) getName.invokeExact(name, NAME_BYTES, device));
      return name.getString(0);
    }
  }

  int capability() {
    return 10 * attribute(CAPABILITY_MAJOR) + attribute(CAPABILITY_MINOR);
  }

  private int attribute(int attribute) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_INT);
      api.check(
          "cuDeviceGetAttribute", () -> (int) getAttribute.invokeExact(cell, attribute, device));
      return cell.get(JAVA_INT, 0);
    }
  }

  long totalMemory() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      api.check("cuDeviceTotalMem", () -> (int) totalMemory.invokeExact(cell, device));
      return cell.get(JAVA_LONG, 0);
    }
  }

  long usedMemory() {
    use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment free = arena.allocate(JAVA_LONG);
      MemorySegment total = arena.allocate(JAVA_LONG);
      api.check("cuMemGetInfo", () -> (int) memoryInfo.invokeExact(free, total));
      return total.get(JAVA_LONG, 0) - free.get(JAVA_LONG, 0);
    }
  }
}
