package org.pretrain4j.trainer.device;

import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.pretrain4j.trainer.cuda.CudaMachine;
import org.pretrain4j.trainer.libtorch.LibtorchBuild;

/**
 * What computing on a GPU needs, as it is on this machine.
 *
 * @param libtorch that is loaded
 * @param machine what the driver says
 */
record CudaRequirements(LibtorchBuild libtorch, CudaMachine machine) {
  private static final Pattern VERSION = Pattern.compile("(\\d+)\\.(\\d+).*");

  /**
   * As the driver counts: 12080 is 12.8. Any driver of a major version serves all its minor ones.
   */
  private static final int MAJOR = 1000;

  private static final int MINOR = 10;
  private static final int LEAST_MAJOR = 2;
  private static final int LEAST_MINOR = 7;

  static CudaRequirements here(Map<String, String> environment) {
    return new CudaRequirements(LibtorchBuild.loaded(), CudaMachine.look(environment));
  }

  /** Whether somebody wants to compute on GPUs here: there are some, or their driver fails. */
  boolean isForGpus() {
    return libtorch.cuda() && (machine.gpus() > 0 || machine.failure().isPresent());
  }

  /**
   * What is missing, in one line with how to mend it; empty if nothing is.
   *
   * @param localRank the GPU that is asked for
   */
  Optional<String> missing(int localRank) {
    if (!libtorch.cuda()) {
      return Optional.of(
          "the libtorch %s in %s is built without CUDA: set PYTORCH_LIBRARY_PATH to the lib folder of one for CUDA, PYTORCH_VERSION to its version and PYTORCH_FLAVOR to its CUDA, such as cu128"
              .formatted(libtorch.version(), libtorch.folder()));
    }
    if (isTooOld(libtorch.version())) {
      return Optional.of(
          "the libtorch in %s is version %s, but %d.%d or newer is needed: install a newer one and set PYTORCH_LIBRARY_PATH and PYTORCH_VERSION to it"
              .formatted(libtorch.folder(), libtorch.version(), LEAST_MAJOR, LEAST_MINOR));
    }
    if (machine.failure().isPresent()) {
      return Optional.of(
          "NVIDIA's driver does not answer (%s): look at nvidia-smi, or take device: cpu"
              .formatted(machine.failure().get()));
    }
    if (!machine.driver()) {
      return Optional.of(
          "NVIDIA's driver (libcuda.so.1) was not found: install it, or set PRETRAIN4J_LIBCUDA to its file");
    }
    int gpus = machine.gpus();
    if (gpus == 0) {
      return Optional.of(
          "NVIDIA's driver sees no GPU: look at nvidia-smi and at CUDA_VISIBLE_DEVICES");
    }
    int known = machine.version() / MAJOR;
    if (libtorch.cudaMajor().orElse(0) > known) {
      return Optional.of(
          "NVIDIA's driver knows CUDA %d.%d at most, but the libtorch in %s is for %s: install a newer driver, or a libtorch for CUDA %d"
              .formatted(
                  known,
                  machine.version() % MAJOR / MINOR,
                  libtorch.folder(),
                  libtorch.flavor().orElseThrow(),
                  known));
    }
    if (localRank >= gpus) {
      return Optional.of(
          "local rank %d has no GPU, as this process sees %d: start no more ranks on a machine than it has GPUs"
              .formatted(localRank, gpus));
    }
    return Optional.empty();
  }

  private static boolean isTooOld(String version) {
    Matcher matcher = VERSION.matcher(version);
    if (!matcher.matches()) {
      return false; // a build that names itself otherwise; missing functions are noticed later
    }
    int major = Integer.parseInt(matcher.group(1));
    int minor = Integer.parseInt(matcher.group(2));
    return major < LEAST_MAJOR || major == LEAST_MAJOR && minor < LEAST_MINOR;
  }
}
