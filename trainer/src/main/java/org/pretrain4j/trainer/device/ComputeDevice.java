package org.pretrain4j.trainer.device;

import ai.djl.ndarray.NDManager;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.cuda.CudaDevice;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.Managers;
import org.pretrain4j.trainer.model.Timeline;

/** What one rank computes on: threads of the host and, where the run is on GPUs, one of those. */
public final class ComputeDevice implements AutoCloseable {
  private final NDManager manager;
  private final WorkerPool pool;
  private final Optional<CudaDevice> gpu;

  private ComputeDevice(NDManager manager, WorkerPool pool, Optional<CudaDevice> gpu) {
    this.manager = manager;
    this.pool = pool;
    this.gpu = gpu;
  }

  /**
   * The kind of device that a choice comes to on this machine.
   *
   * @param localRank the GPU that would be taken
   * @return CPU or CUDA
   * @throws UserException if CUDA is asked for and something that it needs is missing
   */
  public static DeviceChoice resolve(
      DeviceChoice choice, int localRank, Map<String, String> environment) {
    return choice == DeviceChoice.CPU
        ? choice
        : resolve(choice, CudaRequirements.here(environment), localRank);
  }

  static DeviceChoice resolve(DeviceChoice choice, CudaRequirements machine, int localRank) {
    Optional<String> missing = machine.missing(localRank);
    // GPUs that this rank can't use, or a driver that fails, are a mistake, not a machine for CPUs.
    if (missing.isPresent() && (choice == DeviceChoice.CUDA || machine.isForGpus())) {
      throw new UserException(
          "the device is "
              + choice.name().toLowerCase(java.util.Locale.ROOT)
              + ", but "
              + missing.get());
    }
    return missing.isPresent() ? DeviceChoice.CPU : DeviceChoice.CUDA;
  }

  /**
   * Takes the device of a rank.
   *
   * @param localRank number of the rank on its machine, and of its GPU
   * @param threads that compute on the host
   * @throws UserException if CUDA is asked for and something that it needs is missing
   */
  public static ComputeDevice open(
      DeviceChoice choice, int localRank, int threads, Map<String, String> environment) {
    return resolve(choice, localRank, environment) == DeviceChoice.CPU
        ? host(threads)
        : gpu(localRank, threads, environment);
  }

  /** The host's processors. */
  public static ComputeDevice host(int threads) {
    return new ComputeDevice(Managers.host(), new WorkerPool(threads), Optional.empty());
  }

  private static ComputeDevice gpu(int index, int threads, Map<String, String> environment) {
    CudaDevice device = CudaDevice.open(index, environment);
    return new ComputeDevice(Managers.gpu(index), new WorkerPool(threads), Optional.of(device));
  }

  /** Owner of the tensors in the device's memory. */
  public NDManager manager() {
    return manager;
  }

  /** Threads of the host. */
  public WorkerPool pool() {
    return pool;
  }

  /** The GPU, if it is one. */
  public Optional<CudaDevice> gpu() {
    return gpu;
  }

  /** Makes the GPU the calling thread's; every thread that calls libtorch on it must. */
  public void use() {
    gpu.ifPresent(device -> device.driver().use());
  }

  /** Where its work can be timed; closed by who asks. */
  public Timeline timeline() {
    return gpu.<Timeline>map(device -> new CudaTimeline(device.driver())).orElseGet(Timeline::host);
  }

  /** Waits until all that was queued on the device is done. */
  public void synchronize() {
    gpu.ifPresent(
        device -> device.driver().synchronize(org.pretrain4j.trainer.cuda.Gpu.DEFAULT_STREAM));
  }

  /** One line for logs and reports. */
  public String describe() {
    return gpu.map(device -> "GPU %d, %s".formatted(device.index(), device.driver().name()))
        .orElse("CPU, %d threads".formatted(pool.threads()));
  }

  @Override
  public void close() {
    CudaDevice cuda = gpu.orElse(null);
    try (cuda;
        pool) {
      manager.close();
    }
  }
}
