package org.pretrain4j.trainer.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/**
 * Products of row-major matrices in host memory that end in float32, by Intel's MKL, which
 * libtorch's builds for x86 contain and export. libtorch's own products round their result to the
 * type of the factors, and are slow where the first factor is transposed, as it is in the gradient
 * of every weight; these add to a float32 sum in place.
 *
 * <p>Uses as many threads as libtorch does, or one within {@link #alone}.
 */
@SuppressWarnings("restricted")
public final class MklGemm {
  /** BLAS arguments are passed by reference. */
  private static final StructLayout ARGUMENTS =
      MemoryLayout.structLayout(
          JAVA_INT.withName("m"),
          JAVA_INT.withName("n"),
          JAVA_INT.withName("k"),
          JAVA_INT.withName("strideA"),
          JAVA_INT.withName("strideB"),
          JAVA_INT.withName("strideC"),
          JAVA_FLOAT.withName("alpha"),
          JAVA_FLOAT.withName("beta"),
          JAVA_INT.withName("transposedA"),
          JAVA_INT.withName("transposedB"));

  private static final int WORD = 4;

  private final MethodHandle gemm;
  private final MethodHandle setThreads;

  private MklGemm(MethodHandle gemm, MethodHandle setThreads) {
    this.gemm = gemm;
    this.setThreads = setThreads;
  }

  /**
   * A factor.
   *
   * @param memory of the first element on, outside of the Java heap
   * @param stride elements from one row in memory to the next
   * @param transposed whether the factor is the transpose of what lies in memory
   */
  public record Factor(MemorySegment memory, int stride, boolean transposed) {}

  /**
   * Products of factors of a type, where libtorch has MKL and, for bfloat16, the processor is one
   * of Intel's with instructions for it; else nothing.
   */
  public static Optional<MklGemm> of(ScalarType type) {
    String name =
        switch (type) {
          case BFLOAT16 -> multipliesBfloat16() ? "gemm_bf16bf16f32_" : "";
          case FLOAT32 -> "sgemm_";
          default -> "";
        };
    Optional<MemorySegment> symbol = Libtorch.optionalSymbol(name);
    Optional<MemorySegment> threads = Libtorch.optionalSymbol("MKL_Set_Num_Threads_Local");
    if (symbol.isEmpty() || threads.isEmpty()) {
      return Optional.empty();
    }
    MemoryLayout[] pointers = new MemoryLayout[13];
    Arrays.fill(pointers, ADDRESS);
    Linker linker = Linker.nativeLinker();
    return Optional.of(
        new MklGemm(
            linker.downcallHandle(symbol.get(), FunctionDescriptor.ofVoid(pointers)),
            linker.downcallHandle(threads.get(), FunctionDescriptor.of(JAVA_INT, JAVA_INT))));
  }

  /** By the processor alone, so that a run takes the same products on each of its machines. */
  private static boolean multipliesBfloat16() {
    Path processors = Path.of("/proc/cpuinfo");
    if (!Files.isReadable(processors)) {
      return false;
    }
    try {
      String text = Files.readString(processors);
      return text.contains("GenuineIntel") && text.contains("avx512_bf16");
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * {@code c = a b}, or {@code c = c + a b}.
   *
   * @param rows of c and of a
   * @param columns of c and of b
   * @param inner columns of a and rows of b
   * @param add whether to add to what c holds
   * @param c float32, outside of the Java heap
   * @param stride elements from one row of c to the next
   */
  public void multiply(
      int rows,
      int columns,
      int inner,
      Factor a,
      Factor b,
      boolean add,
      MemorySegment c,
      int stride) {
    // BLAS is column-major: the row-major c is its transpose, bᵀ aᵀ.
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment arguments = arena.allocate(ARGUMENTS);
      arguments.setAtIndex(JAVA_INT, 0, columns);
      arguments.setAtIndex(JAVA_INT, 1, rows);
      arguments.setAtIndex(JAVA_INT, 2, inner);
      arguments.setAtIndex(JAVA_INT, 3, b.stride());
      arguments.setAtIndex(JAVA_INT, 4, a.stride());
      arguments.setAtIndex(JAVA_INT, 5, stride);
      arguments.setAtIndex(JAVA_FLOAT, 6, 1);
      arguments.setAtIndex(JAVA_FLOAT, 7, add ? 1 : 0);
      arguments.setAtIndex(JAVA_INT, 8, b.transposed() ? 'T' : 'N');
      arguments.setAtIndex(JAVA_INT, 9, a.transposed() ? 'T' : 'N');
      gemm.invokeExact(
          argument(arguments, 8),
          argument(arguments, 9),
          argument(arguments, 0),
          argument(arguments, 1),
          argument(arguments, 2),
          argument(arguments, 6),
          b.memory(),
          argument(arguments, 3),
          a.memory(),
          argument(arguments, 4),
          argument(arguments, 7),
          c,
          argument(arguments, 5));
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }

  /** Runs products of the calling thread on it alone, for loops that are parallel themselves. */
  public void alone(Runnable products) {
    int before = setThreads(1);
    try {
      products.run();
    } finally {
      setThreads(before);
    }
  }

  private int setThreads(int threads) {
    try {
      return (int) setThreads.invokeExact(threads);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }

  private static MemorySegment argument(MemorySegment arguments, int word) {
    return arguments.asSlice((long) word * WORD, WORD);
  }
}
