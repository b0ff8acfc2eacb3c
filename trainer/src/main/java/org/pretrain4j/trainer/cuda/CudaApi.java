package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Map;
import org.pretrain4j.trainer.parallel.natives.NativeCall;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/** NVIDIA's driver as a library: its functions, and its words for what went wrong. */
final class CudaApi {
  static final String VARIABLE = "PRETRAIN4J_LIBCUDA";

  static final NativeLibrary.Search SEARCH =
      new NativeLibrary.Search(
          "The CUDA driver",
          VARIABLE,
          List.of("libcuda.so.1", "libcuda.so"),
          List.of(
              "/usr/lib/x86_64-linux-gnu",
              "/usr/lib/aarch64-linux-gnu",
              "/usr/lib64",
              "/usr/local/nvidia/lib64"));

  private final NativeLibrary library;
  private final MethodHandle errorString;

  CudaApi(NativeLibrary library) {
    this.library = library;
    this.errorString = function("cuGetErrorString", JAVA_INT, ADDRESS);
  }

  /**
   * Opens the driver.
   *
   * @throws org.pretrain4j.configuration.UserException if there is none
   */
  static CudaApi open(Map<String, String> environment) {
    return new CudaApi(NativeLibrary.open(SEARCH, environment, "install NVIDIA's driver"));
  }

  /** A function that returns a CUresult. */
  MethodHandle function(String name, MemoryLayout... arguments) {
    return library.function(name, JAVA_INT, arguments);
  }

  /**
   * Runs a call.
   *
   * @param name of its function, for the message
   * @throws IllegalStateException with the driver's text if its result is not 0
   */
  void check(String name, NativeCall call) {
    check(name, NativeCall.code(call));
  }

  void check(String name, int code) {
    if (code != 0) {
      throw new IllegalStateException(name + " failed: " + text(code));
    }
  }

  /** The driver's text for a result. */
  @SuppressWarnings("restricted") // a C string that the driver owns
  String text(int code) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(ADDRESS);
      boolean known = NativeCall.code(() -> (int) errorString.invokeExact(code, cell)) == 0;
      MemorySegment text = cell.get(ADDRESS, 0);
      return known ? text.reinterpret(Long.MAX_VALUE).getString(0) : "CUDA error " + code;
    }
  }
}
