package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NvccTest {
  @TempDir private Path folder;

  /** For one architecture here; the sources know no difference between them. */
  @Test
  void nvccCompilesTheKernelsWithoutWarningsAndWithoutSpills() throws IOException {
    Assumptions.assumeTrue(EmulatedKernels.isOnPath("nvcc"), "no nvcc to compile the kernels with");
    Path source = Files.writeString(folder.resolve(KernelSource.NAME), KernelSource.text());
    List<String> words = new ArrayList<>(List.of("nvcc", "-arch=sm_90", "-cubin", "-rdc=false"));
    words.addAll(KernelSource.OPTIONS);
    words.addAll(
        List.of("-Werror=all-warnings", "-Xptxas=-v", "-o", folder.resolve("cubin").toString()));
    words.add(source.toString());
    String output = EmulatedKernels.command(folder, words.toArray(String[]::new));
    assertFalse(output.matches("(?s).* [1-9]\\d* bytes spill.*"), output);
  }
}
