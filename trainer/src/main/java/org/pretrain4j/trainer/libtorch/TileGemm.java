package org.pretrain4j.trainer.libtorch;

import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * Products of small bfloat16 matrices that end in float32, on the calling thread alone: oneDNN's
 * kernel for a block, as libtorch's builds for processors with AMX export it. Whoever calls it
 * decides what lies in the cache, and reads the result while it is there.
 */
@SuppressWarnings("restricted")
public final class TileGemm {
  /** Columns of a panel of the second factor. */
  public static final int PANEL = 64;

  private static final String NAMESPACE = "_ZN2at6native7cpublas";

  private final MethodHandle multiply;
  private final MethodHandle release;

  private TileGemm(MethodHandle multiply, MethodHandle release) {
    this.multiply = multiply;
    this.release = release;
  }

  /** The kernel, where libtorch exports it and the processor has the instructions. */
  public static Optional<TileGemm> find() {
    Optional<MemorySegment> multiply =
        Libtorch.optionalSymbol(NAMESPACE + "6brgemmEllllllbPKN3c108BFloat16ES5_Pfb");
    Optional<MemorySegment> release = Libtorch.optionalSymbol(NAMESPACE + "14brgemm_releaseEb");
    Optional<MemorySegment> check =
        Libtorch.optionalSymbol(NAMESPACE + "10could_packEN3c1010ScalarTypeE");
    if (multiply.isEmpty() || release.isEmpty() || check.isEmpty()) {
      return Optional.empty();
    }
    Linker linker = Linker.nativeLinker();
    MethodHandle could =
        linker.downcallHandle(check.get(), FunctionDescriptor.of(JAVA_BOOLEAN, JAVA_BYTE));
    try {
      if (!(boolean) could.invokeExact((byte) ScalarType.BFLOAT16.code())) {
        return Optional.empty();
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
    return Optional.of(
        new TileGemm(
            linker.downcallHandle(
                multiply.get(),
                FunctionDescriptor.ofVoid(
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_BOOLEAN,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_BOOLEAN)),
            linker.downcallHandle(release.get(), FunctionDescriptor.ofVoid(JAVA_BOOLEAN))));
  }

  /**
   * {@code c = a b}, or {@code c = c + a b}. After a thread's last product it must call {@link
   * #release}, before anything else computes on it.
   *
   * @param rows of a and c
   * @param columns of b and c, at most {@link #PANEL}
   * @param inner columns of a and rows of b, a multiple of 32
   * @param a address of {@code [rows, inner]}
   * @param strideA elements from one row of a to the next
   * @param b address of a panel: {@code [inner / 2, PANEL, 2]}, rows two by two, their elements in
   *     turns
   * @param add whether to add to what c holds
   * @param c address of float32 {@code [rows, columns]}
   * @param strideC elements from one row of c to the next
   */
  public void multiply(
      long rows,
      long columns,
      long inner,
      long a,
      long strideA,
      long b,
      boolean add,
      long c,
      long strideC) {
    try {
      multiply.invokeExact(
          rows, columns, inner, strideA, (long) PANEL, strideC, add, a, b, c, true);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }

  /** Gives the processor's tiles back. */
  public void release() {
    try {
      release.invokeExact(true);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }
}
