package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Compiled code in the driver, and the start of its kernels. */
final class CudaModules {
  private final CudaApi api;
  private final CudaContext context;
  private final MethodHandle load;
  private final MethodHandle unload;
  private final MethodHandle getFunction;
  private final MethodHandle launch;

  CudaModules(CudaApi api, CudaContext context) {
    this.api = api;
    this.context = context;
    load = api.function("cuModuleLoadData", ADDRESS, ADDRESS);
    unload = api.function("cuModuleUnload", JAVA_LONG);
    getFunction = api.function("cuModuleGetFunction", ADDRESS, JAVA_LONG, ADDRESS);
    launch =
        api.function(
            "cuLaunchKernel",
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
  }

  long load(byte[] image) {
    context.use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MemorySegment copy = arena.allocate(image.length, Long.BYTES);
      copy.copyFrom(MemorySegment.ofArray(image));
      api.check("cuModuleLoadData", () -> (int) load.invokeExact(cell, copy));
      return cell.get(JAVA_LONG, 0);
    }
  }

  void unload(long module) {
    context.use();
    api.check("cuModuleUnload", () -> (int) unload.invokeExact(module));
  }

  long function(long module, String name) {
    context.use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MemorySegment text = arena.allocateFrom(name);
      api.check(
          "cuModuleGetFunction of " + name,
          () -> (int) getFunction.invokeExact(cell, module, text));
      return cell.get(JAVA_LONG, 0);
    }
  }

  void launch(
      long function,
      long blocks,
      int threads,
      int sharedBytes,
      long stream,
      MemorySegment arguments) {
    context.use();
    int grid = Math.toIntExact(blocks);
    api.check(
        "cuLaunchKernel",
        () ->
            (int)
                launch.invokeExact(
                    function,
                    grid,
                    1,
                    1,
                    threads,
                    1,
                    1,
                    sharedBytes,
                    stream,
                    arguments,
                    MemorySegment.NULL));
  }
}
