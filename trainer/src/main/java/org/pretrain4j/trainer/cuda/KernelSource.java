package org.pretrain4j.trainer.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The kernels in CUDA C++, one program without includes, for NVRTC or nvcc. */
public final class KernelSource {
  /**
   * Options for the compiler beside the architecture. Products and sums are contracted where the
   * source says so and nowhere else: the same bits from each compiler, at no cost, as memory is
   * what kernels wait for.
   */
  public static final List<String> OPTIONS = List.of("--std=c++17", "--fmad=false");

  /** What the text is called in the compiler's messages. */
  public static final String NAME = "pretrain4j.cu";

  private static final List<String> PARTS = List.of("base.cu", "model.cu", "arrays.cu");

  private KernelSource() {}

  /** The whole program. */
  public static String text() {
    StringBuilder text = new StringBuilder();
    for (String part : PARTS) {
      try (InputStream in = KernelSource.class.getResourceAsStream(part)) {
        if (in == null) {
          throw new IllegalStateException("the kernels' " + part + " is missing in the program");
        }
        text.append(new String(in.readAllBytes(), StandardCharsets.UTF_8)).append('\n');
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return text.toString();
  }
}
