package org.pretrain4j.trainer.libtorch;

import ai.djl.engine.Engine;
import ai.djl.pytorch.jni.LibUtils;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The libtorch of this process.
 *
 * @param version such as 2.7.1
 * @param folder of its libraries
 * @param cuda whether it was built for CUDA
 */
public record LibtorchBuild(String version, Path folder, boolean cuda) {

  /** Loads libtorch, if nobody has, and looks at it. */
  public static LibtorchBuild loaded() {
    Libtorch.load();
    Path folder = Path.of(LibUtils.getLibtorchPath());
    return new LibtorchBuild(
        Engine.getEngine(Libtorch.ENGINE).getVersion(),
        folder,
        Files.exists(folder.resolve("libtorch_cuda.so")));
  }
}
