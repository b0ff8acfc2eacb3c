package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/** The bindings against what cuda.h, cublas_api.h, library_types.h and nvrtc.h document. */
final class CudaBindingTest {
  @TempDir private Path folder;

  @Test
  void constantsHaveTheirDocumentedValues() {
    assertEquals(600, CudaDriver.NOT_READY); // CUDA_ERROR_NOT_READY
    assertEquals(1, CudaDriver.NON_BLOCKING); // CU_STREAM_NON_BLOCKING
    assertEquals(2, CudaDriver.DISABLE_TIMING); // CU_EVENT_DISABLE_TIMING
    assertEquals(1, CudaDriver.PORTABLE); // CU_MEMHOSTALLOC_PORTABLE
    assertEquals(75, CudaDriver.CAPABILITY_MAJOR);
    assertEquals(76, CudaDriver.CAPABILITY_MINOR);
    assertEquals(0, CublasGemm.OP_N);
    assertEquals(1, CublasGemm.OP_T);
    assertEquals(0, CublasGemm.R_32F); // CUDA_R_32F
    assertEquals(14, CublasGemm.R_16BF); // CUDA_R_16BF
    assertEquals(68, CublasGemm.COMPUTE_32F); // CUBLAS_COMPUTE_32F
    assertEquals(-1, CublasGemm.DEFAULT_ALGORITHM); // CUBLAS_GEMM_DEFAULT
  }

  @Test
  void theCompilerIsToldTheArchitectureOfTheGpu() {
    assertEquals("--gpu-architecture=sm_90", Nvrtc.options(90).getFirst());
    assertTrue(Nvrtc.options(90).containsAll(KernelSource.OPTIONS));
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
    assertEquals(0, CudaDriver.devices(nowhere.get(0)));
    assertFalse(CudaDriver.isPresent(nowhere.get(0)));
  }

  @Test
  void librariesAreFoundBesideLibtorchAndInItsPackages() throws IOException {
    Path torch = Files.createDirectories(folder.resolve("torch/lib"));
    Path hashed = Files.createFile(torch.resolve("libnvrtc-b51b459d.so.12"));
    Files.createFile(torch.resolve("libnvrtc-builtins.so.12.8"));
    Path packaged = Files.createDirectories(folder.resolve("nvidia/cuda_nvrtc/lib"));
    Path file = Files.createFile(packaged.resolve("libnvrtc.so.12"));
    NativeLibrary.Search search = CudaLibraries.search("product", "nvrtc", "VARIABLE", torch);
    assertEquals(
        List.of(hashed.toString(), file.toString(), "libnvrtc.so.13", "libnvrtc.so.12"),
        search.names());
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
    assumeTrue(CudaDriver.devices(System.getenv()) > 0, "there is no GPU");
    CudaDriver driver = CudaDriver.open(System.getenv(), 0);
    assertTrue(driver.capability() >= 10, driver.name());
  }
}
