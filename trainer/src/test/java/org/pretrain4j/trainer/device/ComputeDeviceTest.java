package org.pretrain4j.trainer.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.cuda.CudaMachine;
import org.pretrain4j.trainer.libtorch.LibtorchBuild;

/** The choice of a device, on machines that lack this or that. */
final class ComputeDeviceTest {
  private static final int CUDA_12_8 = 12_080;

  private static CudaRequirements machine(
      String version, boolean cuda, String flavor, boolean driver, int gpus) {
    return new CudaRequirements(
        libtorch(version, cuda, flavor),
        new CudaMachine(driver, gpus, CUDA_12_8, Optional.empty()));
  }

  private static LibtorchBuild libtorch(String version, boolean cuda, String flavor) {
    return new LibtorchBuild(
        version, Path.of("/opt/libtorch/lib"), cuda, Optional.ofNullable(flavor));
  }

  @ParameterizedTest
  @CsvSource({
    "2.7.1, false, , true, 8, 0, built without CUDA: set PYTORCH_LIBRARY_PATH",
    "2.6.0, true, cu124, true, 8, 0, version 2.6.0",
    "1.13.1, true, cu117, true, 8, 0, version 1.13.1",
    "2.7.1, true, cu128, false, 0, 0, NVIDIA's driver (libcuda.so.1) was not found",
    "2.7.1, true, cu128, true, 0, 0, sees no GPU",
    "2.9.0, true, cu130, true, 2, 0, knows CUDA 12.8 at most",
    "2.7.1, true, cu128, true, 2, 2, local rank 2 has no GPU",
  })
  void whatIsMissingForCudaIsOneLineThatSaysHowToMendIt(
      String version,
      boolean cuda,
      String flavor,
      boolean driver,
      int gpus,
      int localRank,
      String expected) {
    CudaRequirements machine = machine(version, cuda, flavor, driver, gpus);
    UserException e =
        assertThrows(
            UserException.class,
            () -> ComputeDevice.resolve(DeviceChoice.CUDA, machine, localRank));
    assertTrue(e.getMessage().startsWith("the device is cuda, but "), e.getMessage());
    assertTrue(e.getMessage().contains(expected), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  @ParameterizedTest
  @EnumSource(names = {"AUTO", "CUDA"})
  void aDriverThatFailsIsToldInItsOwnWords(DeviceChoice choice) {
    CudaMachine broken = new CudaMachine(true, 0, CUDA_12_8, Optional.of("cuInit: unknown error"));
    CudaRequirements machine = new CudaRequirements(libtorch("2.7.1", true, "cu128"), broken);
    UserException e =
        assertThrows(UserException.class, () -> ComputeDevice.resolve(choice, machine, 0));
    assertTrue(e.getMessage().contains("does not answer (cuInit: unknown error)"), e.getMessage());
    CudaRequirements cpus = new CudaRequirements(libtorch("2.7.1", false, "cpu"), broken);
    assertEquals(DeviceChoice.CPU, ComputeDevice.resolve(DeviceChoice.AUTO, cpus, 0));
  }

  @Test
  void autoTakesAGpuWhereAllIsThereAndTheCpuWhereThereIsNone() {
    CudaRequirements complete = machine("2.9.0", true, "cu126", true, 1);
    CudaRequirements newer = machine("3.0.0", true, null, true, 4);
    assertEquals(DeviceChoice.CUDA, ComputeDevice.resolve(DeviceChoice.AUTO, complete, 0));
    assertEquals(DeviceChoice.CUDA, ComputeDevice.resolve(DeviceChoice.CUDA, newer, 3));
    CudaRequirements noCuda = machine("2.7.1", false, null, true, 8);
    CudaRequirements noGpu = machine("2.7.1", true, null, true, 0);
    assertEquals(DeviceChoice.CPU, ComputeDevice.resolve(DeviceChoice.AUTO, noCuda, 0));
    assertEquals(DeviceChoice.CPU, ComputeDevice.resolve(DeviceChoice.AUTO, noGpu, 0));
  }

  @Test
  void autoDoesNotFallBackOnAMachineWhoseGpusThisRankCannotUse() {
    CudaRequirements old = machine("2.5.0", true, null, true, 8);
    UserException e =
        assertThrows(UserException.class, () -> ComputeDevice.resolve(DeviceChoice.AUTO, old, 0));
    assertTrue(e.getMessage().contains("2.7 or newer"), e.getMessage());
    CudaRequirements few = machine("2.7.1", true, null, true, 2);
    assertThrows(UserException.class, () -> ComputeDevice.resolve(DeviceChoice.AUTO, few, 5));
  }

  @Test
  void theCpuNeedsNothing() {
    assertEquals(DeviceChoice.CPU, ComputeDevice.resolve(DeviceChoice.CPU, 9, Map.of()));
    try (ComputeDevice device = ComputeDevice.host(1)) {
      assertTrue(device.gpu().isEmpty());
      assertEquals("CPU, 1 threads", device.describe());
    }
  }

  @Test
  void thisProgramsOwnLibtorchIsForCpus() {
    assumeFalse(LibtorchBuild.loaded().cuda(), "another libtorch was asked for");
    UserException e =
        assertThrows(
            UserException.class, () -> ComputeDevice.open(DeviceChoice.CUDA, 0, 1, Map.of()));
    assertTrue(e.getMessage().contains("is built without CUDA"), e.getMessage());
    try (ComputeDevice device = ComputeDevice.open(DeviceChoice.AUTO, 0, 1, Map.of())) {
      assertTrue(device.gpu().isEmpty());
    }
  }
}
