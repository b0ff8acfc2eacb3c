package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.libtorch.LibtorchBuild;

/** The bindings against what cuda.h, cublas_api.h, library_types.h and nvrtc.h document. */
final class CudaBindingTest {
  @TempDir private Path folder;

  @Test
  void constantsHaveTheirDocumentedValues() {
    assertEquals(600, CudaStreams.NOT_READY); // CUDA_ERROR_NOT_READY
    assertEquals(1, CudaStreams.NON_BLOCKING); // CU_STREAM_NON_BLOCKING
    assertEquals(0, CudaStreams.TIMING); // CU_EVENT_DEFAULT
    assertEquals(2, CudaStreams.DISABLE_TIMING); // CU_EVENT_DISABLE_TIMING
    assertEquals(1, CudaMemory.PORTABLE); // CU_MEMHOSTALLOC_PORTABLE
    assertEquals(75, CudaContext.CAPABILITY_MAJOR);
    assertEquals(76, CudaContext.CAPABILITY_MINOR);
    assertEquals(100, CudaMachine.NO_DEVICE); // CUDA_ERROR_NO_DEVICE
    assertEquals(0, CublasGemm.OP_N);
    assertEquals(1, CublasGemm.OP_T);
    assertEquals(0, CublasGemm.R_32F); // CUDA_R_32F
    assertEquals(14, CublasGemm.R_16BF); // CUDA_R_16BF
    assertEquals(68, CublasGemm.COMPUTE_32F); // CUBLAS_COMPUTE_32F
    assertEquals(-1, CublasGemm.DEFAULT_ALGORITHM); // CUBLAS_GEMM_DEFAULT
  }

  @Test
  void theCompilerIsToldTheArchitectureOfTheGpu() {
    Nvrtc.Target target = Nvrtc.Target.of(90, List.of(80, 90, 100));
    assertEquals("--gpu-architecture=sm_90", target.options().getFirst());
    assertTrue(target.options().containsAll(KernelSource.OPTIONS));
  }

  @Test
  void aMissingDriverOrLibraryIsOneLine() {
    List<Map<String, String>> nowhere =
        List.of(
            Map.of("PRETRAIN4J_LIBCUDA", "/nowhere/libcuda.so.1"),
            Map.of("PRETRAIN4J_LIBNVRTC", "/nowhere/libnvrtc.so.12"));
    UserException driver =
        assertThrows(UserException.class, () -> CudaDriver.open(nowhere.get(0), 0));
    UserException compiler = assertThrows(UserException.class, () -> Nvrtc.open(nowhere.get(1)));
    assertTrue(driver.getMessage().contains("/nowhere/libcuda.so.1"), driver.getMessage());
    assertTrue(compiler.getMessage().contains("/nowhere/libnvrtc.so.12"), compiler.getMessage());
    assertEquals(1, driver.getMessage().lines().count());
    assertEquals(1, compiler.getMessage().lines().count());
    assertEquals(new CudaMachine(false, 0, 0, Optional.empty()), CudaMachine.look(nowhere.get(0)));
  }

  @Test
  void librariesAreFoundBesideLibtorchAndInItsPackages() throws IOException {
    Path torch = Files.createDirectories(folder.resolve("torch/lib"));
    Path hashed = Files.createFile(torch.resolve("libnvrtc-b51b459d.so.12"));
    Files.createFile(torch.resolve("libnvrtc-builtins.so.12.8"));
    Path packaged = Files.createDirectories(folder.resolve("nvidia/cuda_nvrtc/lib"));
    Path file = Files.createFile(packaged.resolve("libnvrtc.so.12"));
    assertEquals(
        List.of(hashed.toString(), file.toString(), "libnvrtc.so.13", "libnvrtc.so.12"),
        names(Optional.empty(), torch, List.of()));
  }

  @Test
  void ofTwoVersionsThatOfLibtorchComesFirstAndTheLoadedFileBeforeAll() throws IOException {
    Path torch = Files.createDirectories(folder.resolve("torch/lib"));
    Path newer = Files.createDirectories(folder.resolve("nvidia/cu13/lib"));
    Path thirteen = Files.createFile(newer.resolve("libnvrtc.so.13"));
    Path older = Files.createDirectories(folder.resolve("nvidia/cuda_nvrtc/lib"));
    Path twelve = Files.createFile(older.resolve("libnvrtc.so.12"));
    assertEquals(
        List.of(twelve.toString(), thirteen.toString(), "libnvrtc.so.12", "libnvrtc.so.13"),
        names(Optional.of("cu128"), torch, List.of(Path.of("/other/libcublas.so.12"))));
    assertEquals(
        List.of(thirteen.toString(), twelve.toString(), "libnvrtc.so.13", "libnvrtc.so.12"),
        names(Optional.of("cu130"), torch, List.of()));
    assertEquals(
        "/loaded/libnvrtc.so.12",
        names(Optional.of("cu130"), torch, List.of(Path.of("/loaded/libnvrtc.so.12"))).getFirst());
  }

  private static List<String> names(Optional<String> flavor, Path torch, List<Path> mapped) {
    LibtorchBuild libtorch = new LibtorchBuild("2.7.1", torch, true, flavor);
    return CudaLibraries.search("product", "nvrtc", "VARIABLE", libtorch, mapped).names();
  }

  @Test
  void aKernelIsLookedUpOnce() {
    HostMemoryGpu gpu = new HostMemoryGpu();
    CudaLauncher launcher = new CudaLauncher(gpu, 7);
    launcher.launch("sum", 2, 32, 64, new KernelArguments());
    launcher.launch("sum", 3, 32, 64, new KernelArguments());
    assertEquals(
        List.of("function sum of 7", "103<<<2, 32, 64>>>", "103<<<3, 32, 64>>>"), gpu.launches);
  }

  @Test
  void allFunctionsResolveWhereADriverIs() {
    assumeTrue(CudaMachine.look(System.getenv()).gpus() > 0, "there is no GPU");
    CudaDriver driver = CudaDriver.open(System.getenv(), 0);
    assertTrue(driver.capability() >= 10, driver.name());
  }
}
