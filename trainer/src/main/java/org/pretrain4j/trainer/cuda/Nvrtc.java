package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.natives.NativeCall;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/** Compiles CUDA C++ when it is needed, by NVIDIA's run-time compiler. */
final class Nvrtc {
  private static final String VARIABLE = "PRETRAIN4J_LIBNVRTC";

  private final NativeLibrary library;

  private Nvrtc(NativeLibrary library) {
    this.library = library;
  }

  /**
   * Finds the compiler.
   *
   * @throws org.pretrain4j.configuration.UserException if there is none
   */
  static Nvrtc open(Map<String, String> environment) {
    return new Nvrtc(
        CudaLibraries.open("NVIDIA's run-time compiler", "nvrtc", VARIABLE, environment));
  }

  /**
   * What is made of a source.
   *
   * @param option the architecture, as the compiler is told
   * @param result the function that gives it
   */
  record Target(String option, String result) {
    /**
     * Machine code for the GPU, or PTX, which the driver compiles, where the GPU is newer than the
     * compiler.
     *
     * @param capability of the GPU
     * @param known those that the compiler can make code for
     * @throws UserException if the compiler has forgotten the GPU
     */
    static Target of(int capability, List<Integer> known) {
      if (known.contains(capability)) {
        return new Target("--gpu-architecture=sm_" + capability, "nvrtcGetCUBIN");
      }
      int newest =
          known.stream()
              .filter(architecture -> architecture < capability)
              .max(Integer::compare)
              .orElseThrow(
                  () ->
                      new UserException(
                          "NVIDIA's run-time compiler knows the compute capabilities %s, but not that of the GPU, %d: take another with %s"
                              .formatted(known, capability, VARIABLE)));
      return new Target("--gpu-architecture=compute_" + newest, "nvrtcGetPTX");
    }

    List<String> options() {
      List<String> options = new ArrayList<>(List.of(option));
      options.addAll(KernelSource.OPTIONS);
      return options;
    }
  }

  /** The compute capabilities that the compiler can make code for. */
  private List<Integer> architectures() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(JAVA_INT);
      check(
          "nvrtcGetNumSupportedArchs",
          (int) function("nvrtcGetNumSupportedArchs", ADDRESS).invokeExact(count));
      MemorySegment known = arena.allocate(JAVA_INT, Math.max(1, count.get(JAVA_INT, 0)));
      check(
          "nvrtcGetSupportedArchs",
          (int) function("nvrtcGetSupportedArchs", ADDRESS).invokeExact(known));
      return Arrays.stream(known.toArray(JAVA_INT)).limit(count.get(JAVA_INT, 0)).boxed().toList();
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  /**
   * Compiles for one kind of GPU.
   *
   * @param name of the source, for messages
   * @param source without any include
   * @param capability such as 90
   * @return a cubin, or PTX where the GPU is newer than the compiler
   * @throws IllegalStateException with the compiler's log, if it refuses
   */
  byte[] compile(String name, String source, int capability) {
    Target target = Target.of(capability, architectures());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MethodHandle create =
          function("nvrtcCreateProgram", ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS);
      check(
          "nvrtcCreateProgram",
          (int)
              create.invokeExact(
                  cell,
                  arena.allocateFrom(source),
                  arena.allocateFrom(name),
                  0,
                  MemorySegment.NULL,
                  MemorySegment.NULL));
      long program = cell.get(JAVA_LONG, 0);
      try {
        List<String> options = target.options();
        MemorySegment pointers = arena.allocate(ADDRESS, options.size());
        for (int i = 0; i < options.size(); i++) {
          pointers.setAtIndex(ADDRESS, i, arena.allocateFrom(options.get(i)));
        }
        MethodHandle compile = function("nvrtcCompileProgram", JAVA_LONG, JAVA_INT, ADDRESS);
        int code = (int) compile.invokeExact(program, options.size(), pointers);
        if (code != 0) {
          throw new IllegalStateException(
              "%s does not compile with %s by %s: %s%n%s"
                  .formatted(name, target.option(), library.path(), text(code), log(program)));
        }
        return bytes(target.result(), program);
      } finally {
        MethodHandle destroy = function("nvrtcDestroyProgram", ADDRESS);
        check("nvrtcDestroyProgram", (int) destroy.invokeExact(cell));
      }
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  private String log(long program) throws Throwable {
    byte[] text = bytes("nvrtcGetProgramLog", program);
    return new String(
        text, 0, Math.max(0, text.length - 1), java.nio.charset.StandardCharsets.UTF_8);
  }

  /** What a pair of functions gives: its size, and itself. */
  private byte[] bytes(String function, long program) throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment size = arena.allocate(JAVA_LONG);
      check(
          function + "Size",
          (int) function(function + "Size", JAVA_LONG, ADDRESS).invokeExact(program, size));
      MemorySegment bytes = arena.allocate(Math.max(1, size.get(JAVA_LONG, 0)));
      check(function, (int) function(function, JAVA_LONG, ADDRESS).invokeExact(program, bytes));
      return bytes.asSlice(0, size.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
    }
  }

  private MethodHandle function(String name, MemoryLayout... arguments) {
    return library.function(name, JAVA_INT, arguments);
  }

  private void check(String call, int code) throws Throwable {
    if (code != 0) {
      throw new IllegalStateException(call + " failed: " + text(code));
    }
  }

  @SuppressWarnings("restricted") // a C string that the library owns
  private String text(int code) throws Throwable {
    MethodHandle function = library.function("nvrtcGetErrorString", ADDRESS, JAVA_INT);
    MemorySegment text = (MemorySegment) function.invokeExact(code);
    return text.reinterpret(Long.MAX_VALUE).getString(0);
  }
}
