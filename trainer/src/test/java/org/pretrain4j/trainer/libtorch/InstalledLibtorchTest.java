package org.pretrain4j.trainer.libtorch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;

/** An installed libtorch against what the environment says of it. */
final class InstalledLibtorchTest {
  private static final BundledJni JNI =
      new BundledJni("2.7.1", "0.35.1", "linux-x86_64", List.of("cpu", "cu128"));

  @TempDir private Path root;

  private Path installed(boolean cuda) throws IOException {
    Path lib = Files.createDirectories(root.resolve("torch/lib"));
    Files.createFile(lib.resolve(System.mapLibraryName("torch")));
    if (cuda) {
      Files.createFile(lib.resolve(System.mapLibraryName("torch_cuda")));
    }
    return lib;
  }

  private Path zip(String version) throws IOException {
    Path lib = installed(version.contains("+cu"));
    Files.writeString(root.resolve("torch/build-version"), version + "\n");
    return lib;
  }

  private static Map<String, String> environment(Path lib, String version, String flavor) {
    Map<String, String> environment = new HashMap<>();
    environment.put("PYTORCH_LIBRARY_PATH", lib.toString());
    if (version != null) {
      environment.put("PYTORCH_VERSION", version);
    }
    if (flavor != null) {
      environment.put("PYTORCH_FLAVOR", flavor);
    }
    return environment;
  }

  private static void require(Map<String, String> environment) {
    InstalledLibtorch.named(environment).orElseThrow().require(environment, JNI, true);
  }

  private static String refusal(Map<String, String> environment) {
    UserException e = assertThrows(UserException.class, () -> require(environment));
    assertEquals(1, e.getMessage().lines().count());
    return e.getMessage();
  }

  @Test
  void theFilesOfADownloadTellVersionAndFlavor() throws IOException {
    Path lib = zip("2.7.1+cu128");
    Map<String, String> environment = environment(lib, "2.7.1", "cu128");
    assertEquals(
        Optional.of(new InstalledLibtorch(lib, Optional.of("2.7.1+cu128"), Optional.of("cu128"))),
        InstalledLibtorch.named(environment));
    require(environment);
  }

  @Test
  void thePythonPackageTellsThemToo() throws IOException {
    Path lib = installed(true);
    Files.writeString(
        root.resolve("torch/version.py"),
        """
        from typing import Optional

        __all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'xpu']
        __version__ = '2.9.0a0+145a3a7bda'
        debug = False
        cuda: Optional[str] = '13.0'
        """);
    assertEquals(
        Optional.of(
            new InstalledLibtorch(lib, Optional.of("2.9.0a0+145a3a7bda"), Optional.of("cu130"))),
        InstalledLibtorch.named(environment(lib, null, null)));
  }

  @Test
  void aVersionThatIsNotTheInstalledOneIsRefused() throws IOException {
    Path lib = zip("2.11.0+cu128");
    String message = refusal(environment(lib, "2.7.1", "cu128"));
    assertTrue(message.startsWith("PYTORCH_VERSION is 2.7.1, but the libtorch in"), message);
    assertTrue(message.endsWith("is version 2.11.0+cu128: set PYTORCH_VERSION=2.11.0"), message);
    assertTrue(
        refusal(environment(lib, null, "cu128"))
            .startsWith("PYTORCH_VERSION is not set, which stands for 2.7.1, but"));
  }

  @Test
  void aFlavorThatIsMissingOrAnotherIsNamed() throws IOException {
    Path lib = zip("2.7.1+cu128");
    String missing = refusal(environment(lib, "2.7.1", null));
    assertTrue(missing.startsWith("PYTORCH_FLAVOR is not set, but"), missing);
    assertTrue(missing.endsWith("set PYTORCH_FLAVOR=cu128"), missing);
    assertTrue(refusal(environment(lib, "2.7.1", "cpu")).startsWith("PYTORCH_FLAVOR is cpu, but"));
  }

  @Test
  void aLibtorchThatNothingCanCallIsRefusedUnlessItsLibraryLiesBesideIt() throws IOException {
    Path lib = zip("2.11.0+cu130");
    Map<String, String> environment = environment(lib, "2.11.0", "cu130");
    String message = refusal(environment);
    assertTrue(message.startsWith("nothing can call the libtorch 2.11.0 with cu130"), message);
    assertTrue(message.contains("for 2.7.1 with cpu and cu128; install one of those"), message);
    InstalledLibtorch.named(environment).orElseThrow().require(environment, JNI, false);
    Files.createFile(lib.resolve(JNI.fileName()));
    require(environment);
  }

  @Test
  void aFolderWithoutLibtorchIsRefused() {
    UserException e =
        assertThrows(
            UserException.class, () -> InstalledLibtorch.named(environment(root, null, null)));
    assertTrue(e.getMessage().startsWith("PYTORCH_LIBRARY_PATH is " + root), e.getMessage());
    assertEquals(Optional.empty(), InstalledLibtorch.named(Map.of()));
  }

  @Test
  void theClassPathHoldsTheLibraryForItsOwnLibtorch() {
    BundledJni jni = BundledJni.onClassPath();
    assertTrue(jni.flavors().contains("cpu"), jni.toString());
    assertTrue(jni.serves(root, jni.libtorch(), "cpu"), jni.toString());
    assertTrue(jni.fileName().endsWith(System.mapLibraryName("djl_torch")), jni.fileName());
  }
}
