package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.trainer.parallel.natives.NativeCall;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/**
 * What NVIDIA's driver says before a GPU is taken.
 *
 * @param driver whether there is one
 * @param gpus that this process sees
 * @param version of CUDA that the driver knows: 1000 for each major version and 10 for each minor
 *     one, so 12080 for 12.8; 0 if it could not be asked
 * @param failure why the driver does not answer, though it is there; a machine without GPUs is none
 */
public record CudaMachine(boolean driver, int gpus, int version, Optional<String> failure) {
  /** CUDA_ERROR_NO_DEVICE: none is there, or the environment hides them all. */
  static final int NO_DEVICE = 100;

  /** Asks the driver, if there is one. */
  public static CudaMachine look(Map<String, String> environment) {
    NativeLibrary.Attempt attempt = NativeLibrary.attempt(CudaApi.SEARCH, environment);
    if (attempt.library().isEmpty()) {
      Optional<String> reason = attempt.reasons().stream().findFirst();
      return new CudaMachine(reason.isPresent(), 0, 0, reason);
    }
    CudaApi api = new CudaApi(attempt.library().get());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_INT);
      int version = ask(api, "cuDriverGetVersion", cell) == 0 ? cell.get(JAVA_INT, 0) : 0;
      MethodHandle initialize = api.function("cuInit", JAVA_INT);
      int code = NativeCall.code(() -> (int) initialize.invokeExact(0));
      String call = "cuInit";
      if (code == 0) {
        call = "cuDeviceGetCount";
        code = ask(api, call, cell);
      }
      return switch (code) {
        case 0 -> new CudaMachine(true, cell.get(JAVA_INT, 0), version, Optional.empty());
        case NO_DEVICE -> new CudaMachine(true, 0, version, Optional.empty());
        default -> new CudaMachine(true, 0, version, Optional.of(call + ": " + api.text(code)));
      };
    }
  }

  /** The result of a function that fills the one cell that it is given. */
  private static int ask(CudaApi api, String name, MemorySegment cell) {
    MethodHandle function = api.function(name, ADDRESS);
    return NativeCall.code(() -> (int) function.invokeExact(cell));
  }
}
