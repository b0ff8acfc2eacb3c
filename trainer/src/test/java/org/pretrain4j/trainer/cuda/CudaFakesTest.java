package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.cuda.DeviceGemm.Factor;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.parallel.natives.NativeCall;

/** The bindings against libraries with the signatures of CUDA's headers, compiled here. */
@SuppressWarnings("restricted")
final class CudaFakesTest {
  private static final long SEED = 47;

  @TempDir private static Path folder;
  private static Map<String, String> environment;
  private static Path library;

  @BeforeAll
  static void compile() throws IOException, InterruptedException {
    boolean present =
        Stream.of(System.getenv("PATH").split(":"))
            .anyMatch(path -> Files.isExecutable(Path.of(path, "g++")));
    assumeTrue(present || "true".equals(System.getenv("CI")), "g++ is missing");
    Path source = folder.resolve("fakes.cpp");
    try (InputStream in = CudaFakesTest.class.getResourceAsStream("fakes.cpp")) {
      Files.copy(in, source);
    }
    library = folder.resolve("libfakes.so");
    List<String> command =
        List.of("g++", "-shared", "-fPIC", "-o", library.toString(), source.toString());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    environment =
        Map.of(
            "PRETRAIN4J_LIBCUDA", library.toString(),
            "PRETRAIN4J_LIBNVRTC", library.toString(),
            "PRETRAIN4J_LIBCUBLAS", library.toString());
  }

  @Test
  void theDriverIsGivenWhatItsHeaderAsksFor() {
    CudaDriver gpu = CudaDriver.open(environment, 1);
    assertEquals("NVIDIA Fake", gpu.name());
    assertEquals(91, gpu.capability());
    assertEquals(81L << 30, gpu.totalMemory());
    assertEquals(21L << 30, gpu.usedMemory());
    long stream = gpu.createStream();
    long event = gpu.createEvent();
    gpu.record(event, Gpu.DEFAULT_STREAM);
    gpu.waitFor(stream, event);
    assertFalse(gpu.isDone(event));
    gpu.await(event);
    gpu.synchronize(stream);
    long earlier = gpu.createTimingEvent();
    long later = gpu.createTimingEvent();
    gpu.record(earlier, Gpu.DEFAULT_STREAM);
    gpu.record(later, Gpu.DEFAULT_STREAM);
    gpu.await(later);
    assertEquals(1.25, gpu.secondsBetween(earlier, later));
    gpu.destroyEvent(earlier);
    gpu.destroyEvent(later);

    MemorySegment pinned = gpu.allocatePinned(16);
    pinned.setAtIndex(ValueLayout.JAVA_LONG, 1, 77);
    long address = gpu.allocate(16);
    gpu.copyToGpu(address, pinned, stream);
    MemorySegment back = gpu.allocatePinned(16);
    gpu.copyFromGpu(address, back, stream);
    assertEquals(77, back.getAtIndex(ValueLayout.JAVA_LONG, 1));
    pinned.setAtIndex(ValueLayout.JAVA_LONG, 0, 78);
    gpu.copyToGpu(address, pinned);
    gpu.copyFromGpu(address, back);
    assertEquals(78, back.getAtIndex(ValueLayout.JAVA_LONG, 0));
    gpu.free(address);
    gpu.freePinned(pinned);
    gpu.freePinned(back);
    gpu.destroyEvent(event);
    gpu.destroyStream(stream);
  }

  /** Sets what the fake driver says, or reads it. */
  private static MemorySegment fake(String name) {
    MethodHandle function =
        Linker.nativeLinker()
            .downcallHandle(
                SymbolLookup.libraryLookup(library, Arena.global()).findOrThrow("fake"),
                FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS));
    try (Arena arena = Arena.ofConfined()) {
      return ((MemorySegment) function.invokeExact(arena.allocateFrom(name)))
          .reinterpret(Integer.BYTES);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  private static CudaMachine machineWhere(String name, int value) {
    MemorySegment cell = fake(name);
    int before = cell.get(ValueLayout.JAVA_INT, 0);
    cell.set(ValueLayout.JAVA_INT, 0, value);
    try {
      return CudaMachine.look(environment);
    } finally {
      cell.set(ValueLayout.JAVA_INT, 0, before);
    }
  }

  @Test
  void theDriverTellsItsGpusAndItsCuda() {
    assertEquals(new CudaMachine(true, 2, 12_080, Optional.empty()), CudaMachine.look(environment));
    assertEquals(13_000, machineWhere("version", 13_000).version());
  }

  @ParameterizedTest
  @CsvSource({"cuInit", "cuDeviceGetCount"})
  void aDriverThatFailsIsNoMachineWithoutGpus(String function) {
    assertEquals(
        new CudaMachine(true, 0, 12_080, Optional.empty()),
        machineWhere(function, CudaMachine.NO_DEVICE));
    assertEquals(
        Optional.of(function + ": forward compatibility was attempted on non supported HW"),
        machineWhere(function, 804).failure());
    assertEquals(Optional.of(function + ": CUDA error 999"), machineWhere(function, 999).failure());
  }

  @Test
  void aDriverThatCannotBeLoadedIsNotAnAbsentOne() throws IOException {
    Path text = Files.writeString(folder.resolve("libtext.so"), "no library");
    CudaMachine machine = CudaMachine.look(Map.of(CudaApi.VARIABLE, text.toString()));
    assertTrue(machine.driver());
    assertTrue(machine.failure().orElse("").startsWith(text + ": "), machine.toString());
    UserException e =
        assertThrows(
            UserException.class,
            () -> CudaDriver.open(Map.of(CudaApi.VARIABLE, text.toString()), 0));
    assertTrue(
        e.getMessage().startsWith("The CUDA driver could not be loaded (" + text), e.getMessage());
  }

  @Test
  void eachCallMakesTheGpuItsThreads() throws InterruptedException {
    CudaDriver gpu = CudaDriver.open(environment, 0);
    long stream = gpu.createStream();
    long event = gpu.createEvent();
    MemorySegment pinned = gpu.allocatePinned(8);
    long address = gpu.allocate(8);
    long module = gpu.loadModule("cubin".getBytes(StandardCharsets.US_ASCII));
    List<Runnable> calls =
        List.of(
            () -> gpu.record(event, stream),
            () -> gpu.waitFor(stream, event),
            () -> gpu.isDone(event),
            () -> gpu.await(event),
            () -> gpu.synchronize(stream),
            () -> gpu.copyToGpu(address, pinned),
            () -> gpu.copyFromGpu(address, pinned),
            () -> gpu.copyToGpu(address, pinned, stream),
            () -> gpu.copyFromGpu(address, pinned, stream),
            gpu::usedMemory,
            () -> gpu.function(module, "sum"),
            () -> gpu.unloadModule(module),
            () -> gpu.freePinned(pinned),
            () -> gpu.free(address),
            () -> gpu.destroyEvent(event),
            () -> gpu.destroyStream(stream));
    for (int i = 0; i < calls.size(); i++) {
      Runnable call = calls.get(i);
      AtomicReference<RuntimeException> failure = new AtomicReference<>();
      Thread thread =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      call.run();
                    } catch (RuntimeException e) {
                      failure.set(e);
                    }
                  });
      thread.join();
      assertNull(failure.get(), "call " + i);
    }
  }

  @Test
  void aGpuThatIsNotThereIsTheUsersMistake() {
    UserException e = assertThrows(UserException.class, () -> CudaDriver.open(environment, 2));
    assertTrue(e.getMessage().startsWith("GPU 2 is not there"), e.getMessage());
  }

  @Test
  void aKernelIsStartedWithItsGridAndArguments() throws Throwable {
    CudaDriver gpu = CudaDriver.open(environment, 0);
    byte[] image = "cubin".getBytes(StandardCharsets.US_ASCII);
    CudaLauncher launcher = new CudaLauncher(gpu, gpu.loadModule(image));
    KernelArguments arguments = new KernelArguments().pointer(0x1234_5678_9abcL).int32(-5);
    launcher.launch("sum", 70_000, 256, 4096, arguments);
    MemorySegment last =
        (MemorySegment)
            Linker.nativeLinker()
                .downcallHandle(
                    SymbolLookup.libraryLookup(library, Arena.global()).findOrThrow("last_launch"),
                    FunctionDescriptor.of(ValueLayout.ADDRESS))
                .invokeExact();
    assertArrayEquals(
        new long[] {70_000, 1, 1, 256, 1, 1, 4096, 0x1234_5678_9abcL, -5},
        last.reinterpret(9 * Long.BYTES).toArray(ValueLayout.JAVA_LONG));
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class,
            () -> launcher.launch("unknown", 1, 1, 0, new KernelArguments()));
    assertEquals("cuModuleGetFunction of unknown failed: named symbol not found", e.getMessage());
  }

  @Test
  void sourcesAreCompiledForTheGpuOrRefusedWithTheLog() {
    Nvrtc nvrtc = Nvrtc.open(environment);
    String cubin = new String(nvrtc.compile("good.cu", "void f();", 91), StandardCharsets.US_ASCII);
    assertTrue(cubin.startsWith("cubin --gpu-architecture=sm_91 --std=c++17"), cubin);
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class, () -> nvrtc.compile("bad.cu", "no such type", 80));
    assertTrue(e.getMessage().contains("NVRTC_ERROR_COMPILATION"), e.getMessage());
    assertTrue(e.getMessage().contains("bad.cu(1): error: told so"), e.getMessage());
  }

  @Test
  void aGpuNewerThanTheCompilerGetsWhatTheDriverCompiles() {
    byte[] code = Nvrtc.open(environment).compile("good.cu", "void f();", 120);
    String ptx = new String(code, StandardCharsets.US_ASCII);
    assertTrue(ptx.startsWith("ptx --gpu-architecture=compute_91"), ptx);
    assertTrue(ptx.endsWith("\0"), "the driver reads up to a zero");
    CudaDriver gpu = CudaDriver.open(environment, 0);
    gpu.unloadModule(gpu.loadModule(code));
    UserException e = assertThrows(UserException.class, () -> Nvrtc.Target.of(75, List.of(80, 90)));
    assertTrue(e.getMessage().contains("[80, 90], but not that of the GPU, 75"), e.getMessage());
  }

  @Test
  void aGpuThatIsTooOldIsToldBeforeAnythingIsCompiled() {
    MemorySegment capability = fake("capability");
    int before = capability.get(ValueLayout.JAVA_INT, 0);
    capability.set(ValueLayout.JAVA_INT, 0, 75);
    Map<String, String> withoutCompiler = new HashMap<>(environment);
    withoutCompiler.put("PRETRAIN4J_LIBNVRTC", "/nowhere/libnvrtc.so.12");
    try {
      UserException e =
          assertThrows(UserException.class, () -> CudaDevice.open(0, withoutCompiler));
      assertEquals(
          "GPU 0 (NVIDIA Fake) has compute capability 7.5, but 8.0 (Ampere) or newer is needed",
          e.getMessage());
    } finally {
      capability.set(ValueLayout.JAVA_INT, 0, before);
    }
  }

  @Test
  void aDeviceThatIsClosedLeavesNoCodeInTheDriver() {
    MemorySegment modules = fake("modules");
    int before = modules.get(ValueLayout.JAVA_INT, 0);
    Map<String, String> withoutCublas = new HashMap<>(environment);
    withoutCublas.put("PRETRAIN4J_LIBCUBLAS", "/nowhere/libcublas.so.12");
    assertThrows(UserException.class, () -> CudaDevice.open(1, withoutCublas));
    assertEquals(before, modules.get(ValueLayout.JAVA_INT, 0));
    CudaDevice.open(1, environment).close();
    assertEquals(before, modules.get(ValueLayout.JAVA_INT, 0));
  }

  @Test
  void aDeviceIsReadyWhenItIsOpen() {
    try (CudaDevice device = CudaDevice.open(1, environment)) {
      assertEquals(1, device.index());
      device.launcher().launch("sum", 1, 32, 0, new KernelArguments().pointer(1).int32(1));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "false, false, FLOAT32, false",
    "true, false, FLOAT32, true",
    "true, false, BFLOAT16, false",
    "false, true, BFLOAT16, true"
  })
  void productsAreThoseOfRowMajorMatrices(
      boolean firstTransposed, boolean secondTransposed, ScalarType type, boolean add) {
    System.out.println("seed " + SEED);
    Random random = new Random(SEED);
    int rows = 3;
    int columns = 5;
    int inner = 4;
    int gap = 2; // rows may be parts of wider ones
    float[][] a = new float[rows][inner];
    float[][] b = new float[inner][columns];
    try (Arena arena = Arena.ofConfined();
        CublasGemm gemm = CublasGemm.open(CudaDriver.open(environment, 0), environment)) {
      Factor first = factor(arena, random, a, firstTransposed, gap, type);
      Factor second = factor(arena, random, b, secondTransposed, gap, type);
      MemorySegment c = arena.allocate(ValueLayout.JAVA_FLOAT, (long) rows * columns);
      for (int i = 0; i < rows * columns; i++) {
        c.setAtIndex(ValueLayout.JAVA_FLOAT, i, 100 + i);
      }
      gemm.multiply(type, rows, columns, inner, first, second, add, c.address());
      for (int i = 0; i < rows * columns; i++) {
        double expected = add ? 100 + i : 0;
        for (int k = 0; k < inner; k++) {
          expected += (double) a[i / columns][k] * b[k][i % columns];
        }
        assertEquals(expected, c.getAtIndex(ValueLayout.JAVA_FLOAT, i), 1e-5 * 100, "element " + i);
      }
    }
  }

  private static Factor factor(
      Arena arena, Random random, float[][] values, boolean transposed, int gap, ScalarType type) {
    int stored = (transposed ? values.length : values[0].length) + gap;
    int lines = transposed ? values[0].length : values.length;
    MemorySegment memory = arena.allocate((long) lines * stored * type.bytes(), 16);
    for (int row = 0; row < values.length; row++) {
      for (int column = 0; column < values[0].length; column++) {
        int bits = Float.floatToRawIntBits((float) random.nextGaussian()) & 0xffff0000;
        values[row][column] = Float.intBitsToFloat(bits);
        long index = transposed ? (long) column * stored + row : (long) row * stored + column;
        if (type == ScalarType.BFLOAT16) {
          memory.setAtIndex(ValueLayout.JAVA_SHORT, index, (short) (bits >>> 16));
        } else {
          memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, values[row][column]);
        }
      }
    }
    return new Factor(memory.address(), stored, transposed);
  }
}
