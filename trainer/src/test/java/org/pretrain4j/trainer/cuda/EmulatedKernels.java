package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/** The kernels' source, compiled by g++ for the CPU together with the emulation of CUDA. */
@SuppressWarnings("restricted")
final class EmulatedKernels {
  private static final Pattern KERNEL =
      Pattern.compile(
          "extern \"C\" __global__ void __launch_bounds__\\((\\d+)[^)]*\\)\\s+(\\w+)\\(([^)]*)\\)");

  private static EmulatedKernels compiled;

  /** What the source says of a kernel. */
  record Kernel(int number, int mostThreads, List<String> types) {
    /** In the letters of {@link KernelArguments#types}. */
    String letters() {
      StringBuilder letters = new StringBuilder();
      for (String type : types) {
        letters.append(
            type.endsWith("*")
                ? 'P'
                : switch (type) {
                  case "int" -> 'I';
                  case "long long" -> 'L';
                  case "float" -> 'F';
                  case "double" -> 'D';
                  default -> throw new IllegalArgumentException(type);
                });
      }
      return letters.toString();
    }
  }

  private final Map<String, Kernel> kernels;
  private final MethodHandle emulate;

  private EmulatedKernels(Map<String, Kernel> kernels, Path library) {
    this.kernels = kernels;
    SymbolLookup lookup = SymbolLookup.libraryLookup(library, Arena.global());
    emulate =
        Linker.nativeLinker()
            .downcallHandle(
                lookup.findOrThrow("emulate"),
                FunctionDescriptor.of(
                    ADDRESS, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
  }

  /** Compiles once for all tests of this process; skips the test where there is no g++. */
  static synchronized EmulatedKernels get() {
    if (compiled == null) {
      boolean here = isOnPath("g++");
      if ("true".equals(System.getenv("CI"))) {
        Assertions.assertTrue(here, "g++ is missing, which .ci/run installs");
      }
      Assumptions.assumeTrue(here, "no g++ to compile the kernels for the CPU with");
      compiled = compile();
    }
    return compiled;
  }

  static boolean isOnPath(String program) {
    for (String folder : System.getenv("PATH").split(":")) {
      if (Files.isExecutable(Path.of(folder, program))) {
        return true;
      }
    }
    return false;
  }

  Kernel kernel(String name) {
    Kernel kernel = kernels.get(name);
    if (kernel == null) {
      throw new IllegalStateException("no kernel " + name + " among " + kernels.keySet());
    }
    return kernel;
  }

  /** Names of all kernels that are not there to be wrong. */
  List<String> names() {
    return kernels.keySet().stream()
        .filter(name -> !name.matches(".*barrier.*|.*_some|not_aligned|behind_.*"))
        .toList();
  }

  /** Runs a kernel; throws what the emulation has against it. One at a time. */
  synchronized void run(
      Kernel kernel,
      MemorySegment arguments,
      long blocks,
      int threads,
      int shared,
      int order,
      int seed) {
    try {
      MemorySegment error =
          (MemorySegment)
              emulate.invokeExact(kernel.number(), arguments, blocks, threads, shared, order, seed);
      if (error.address() != 0) {
        throw new IllegalStateException(error.reinterpret(Long.MAX_VALUE).getString(0));
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static EmulatedKernels compile() {
    try {
      Path folder = Files.createTempDirectory("kernels");
      String source = KernelSource.text() + resource("honesty.cu");
      Path plain = Files.writeString(folder.resolve("kernels.cu"), source);
      Map<String, Kernel> kernels =
          parse(command(folder, "g++", "-E", "-P", "-x", "c++", plain.toString()));
      Path whole = folder.resolve("emulated.cpp");
      Files.writeString(
          whole, resource("emulation.h") + "#line 1 \"kernels.cu\"\n" + source + table(kernels));
      Path object = folder.resolve("emulated.o");
      Path library = folder.resolve("libemulated.so");
      command(
          folder,
          "g++",
          "-c",
          "-std=c++17",
          "-O1",
          "-fPIC",
          "-ffp-contract=off",
          "-fno-strict-aliasing",
          "-U_FORTIFY_SOURCE",
          "-fsanitize=alignment",
          "-o",
          object.toString(),
          whole.toString());
      // Linked without the sanitizer's own library: the emulation has what is called of it.
      command(folder, "g++", "-shared", "-o", library.toString(), object.toString());
      EmulatedKernels result = new EmulatedKernels(kernels, library);
      for (Path file : List.of(plain, whole, object, library, folder.resolve("output"), folder)) {
        Files.delete(file);
      }
      return result;
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Map<String, Kernel> parse(String preprocessed) {
    Map<String, Kernel> kernels = new LinkedHashMap<>();
    Matcher matcher = KERNEL.matcher(preprocessed);
    while (matcher.find()) {
      List<String> types = new ArrayList<>();
      for (String parameter : matcher.group(3).replace("__restrict__", " ").split(",")) {
        String type = parameter.strip().replaceFirst("\\w+$", "").strip();
        types.add(type);
      }
      kernels.put(
          matcher.group(2), new Kernel(kernels.size(), Integer.parseInt(matcher.group(1)), types));
    }
    return kernels;
  }

  /** C++ that calls the kernels by number. */
  private static String table(Map<String, Kernel> kernels) {
    StringBuilder text = new StringBuilder("static void (*const table[])(void**) = {\n");
    kernels.forEach(
        (name, kernel) -> {
          text.append("  [](void** a) { ").append(name).append('(');
          for (int i = 0; i < kernel.types().size(); i++) {
            text.append(i == 0 ? "" : ", ")
                .append("*(")
                .append(kernel.types().get(i))
                .append("*)a[")
                .append(i)
                .append(']');
          }
          text.append("); },\n");
        });
    return text
        + """
        };
        extern "C" const char* emulate(
            int kernel, void** arguments, long long blocks, int threads, int shared, int order, int seed) {
          return emulation::launch(table[kernel], arguments, (unsigned)blocks, threads, shared, order, seed);
        }
        """;
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = EmulatedKernels.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** Runs a compiler; returns what it printed. */
  static String command(Path folder, String... words) throws IOException {
    Path output = folder.resolve("output");
    Process process =
        new ProcessBuilder(words).redirectErrorStream(true).redirectOutput(output.toFile()).start();
    try {
      boolean ended = process.waitFor(5, TimeUnit.MINUTES);
      process.destroyForcibly();
      String text = Files.readString(output);
      Assertions.assertTrue(
          ended && process.exitValue() == 0, () -> String.join(" ", words) + ": " + text);
      return text;
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
