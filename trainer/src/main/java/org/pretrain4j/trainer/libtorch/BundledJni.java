package org.pretrain4j.trainer.libtorch;

import ai.djl.engine.Engine;
import ai.djl.util.Platform;
import ai.djl.util.Utils;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * DJL's JNI library, through which Java calls libtorch: one for each version of libtorch, each of
 * DJL, and each flavor.
 *
 * @param libtorch version of libtorch that the class path's is for
 * @param djl version of DJL
 * @param platform such as linux-x86_64
 * @param flavors those of the class path
 */
record BundledJni(String libtorch, String djl, String platform, List<String> flavors) {
  private static final int LEAST_CUDA = 110;
  private static final int MOST_CUDA = 149;

  BundledJni {
    flavors = List.copyOf(flavors);
  }

  static BundledJni onClassPath() {
    ClassLoader loader = BundledJni.class.getClassLoader();
    String djl = Engine.getDjlVersion();
    String platform = Platform.detectPlatform("pytorch").getClassifier();
    List<String> flavors =
        Stream.concat(
                Stream.of("cpu"),
                IntStream.rangeClosed(LEAST_CUDA, MOST_CUDA).mapToObj(cuda -> "cu" + cuda))
            .filter(
                flavor ->
                    loader.getResource("jnilib/%s/%s/%s".formatted(platform, flavor, library()))
                        != null)
            .toList();
    return new BundledJni(versionOnClassPath(loader, djl), djl, platform, flavors);
  }

  private static String versionOnClassPath(ClassLoader loader, String djl) {
    try (InputStream in = loader.getResourceAsStream("jnilib/pytorch.properties")) {
      if (in == null) {
        throw new IllegalStateException("DJL's JNI library is missing in the program");
      }
      Properties properties = new Properties();
      properties.load(in);
      String version = properties.getProperty("jni_version", "");
      return version.endsWith("-" + djl)
          ? version.substring(0, version.length() - djl.length() - 1)
          : version;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String library() {
    return System.mapLibraryName("djl_torch");
  }

  /** What DJL looks for beside libtorch before it looks at the class path. */
  String fileName() {
    return djl + "-" + library();
  }

  /** Whether DJL finds a JNI library for a libtorch without the network. */
  boolean serves(Path folder, String version, String flavor) {
    Path cached =
        Utils.getEngineCacheDir("pytorch")
            .resolve("%s-%s-%s".formatted(version, flavor, platform))
            .resolve(fileName());
    return Stream.of(folder.resolve(fileName()), folder.resolve(library()), cached)
            .anyMatch(Files::exists)
        || InstalledLibtorch.numbers(version).equals(libtorch) && flavors.contains(flavor);
  }
}
