package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.parallel.natives.NativeCall;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/**
 * Products by the cuBLAS that libtorch uses, on the default stream. libtorch's own products round
 * to the type of the factors; these add to a float32 sum in place, and multiply in float32 where
 * the factors are float32.
 */
final class CublasGemm implements DeviceGemm, AutoCloseable {
  /** cublasOperation_t. */
  static final int OP_N = 0;

  static final int OP_T = 1;

  /** cudaDataType_t. */
  static final int R_32F = 0;

  static final int R_16BF = 14;

  /** cublasComputeType_t: CUBLAS_COMPUTE_32F. */
  static final int COMPUTE_32F = 68;

  /** cublasGemmAlgo_t: CUBLAS_GEMM_DEFAULT. */
  static final int DEFAULT_ALGORITHM = -1;

  private static final String VARIABLE = "PRETRAIN4J_LIBCUBLAS";

  private final Gpu gpu;
  private final NativeLibrary library;
  private final MethodHandle gemm;
  private final long handle;

  // alpha = 1, then beta = 0 and 1, which are read from the host.
  private final MemorySegment factors = Arena.ofAuto().allocate(JAVA_FLOAT, 3);

  private CublasGemm(Gpu gpu, NativeLibrary library) {
    this.gpu = gpu;
    this.library = library;
    factors.setAtIndex(JAVA_FLOAT, 0, 1);
    factors.setAtIndex(JAVA_FLOAT, 1, 0);
    factors.setAtIndex(JAVA_FLOAT, 2, 1);
    gemm =
        library.function(
            "cublasGemmEx",
            JAVA_INT,
            JAVA_LONG, // handle
            JAVA_INT, // operations on A and B
            JAVA_INT,
            JAVA_INT, // m, n, k
            JAVA_INT,
            JAVA_INT,
            ADDRESS, // alpha
            JAVA_LONG, // A, its type and leading dimension
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG, // B
            JAVA_INT,
            JAVA_INT,
            ADDRESS, // beta
            JAVA_LONG, // C
            JAVA_INT,
            JAVA_INT,
            JAVA_INT, // compute type
            JAVA_INT); // algorithm
    gpu.use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      MethodHandle create = library.function("cublasCreate_v2", JAVA_INT, ADDRESS);
      check("cublasCreate", (int) create.invokeExact(cell));
      handle = cell.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  /**
   * Finds cuBLAS and takes a handle for the GPU.
   *
   * @throws org.pretrain4j.configuration.UserException if there is none
   */
  static CublasGemm open(Gpu gpu, Map<String, String> environment) {
    return new CublasGemm(gpu, CudaLibraries.open("cuBLAS", "cublas", VARIABLE, environment));
  }

  @Override
  public void multiply(
      ScalarType type, int rows, int columns, int inner, Factor a, Factor b, boolean add, long c) {
    // BLAS is column-major: the row-major c is its transpose, bᵀ aᵀ.
    int code = type == ScalarType.BFLOAT16 ? R_16BF : R_32F;
    gpu.use();
    try {
      check(
          "cublasGemmEx",
          (int)
              gemm.invokeExact(
                  handle,
                  b.transposed() ? OP_T : OP_N,
                  a.transposed() ? OP_T : OP_N,
                  columns,
                  rows,
                  inner,
                  factors,
                  b.address(),
                  code,
                  b.stride(),
                  a.address(),
                  code,
                  a.stride(),
                  factors.asSlice(add ? 2L * Float.BYTES : Float.BYTES),
                  c,
                  R_32F,
                  columns,
                  COMPUTE_32F,
                  DEFAULT_ALGORITHM));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public void close() {
    gpu.use();
    try {
      MethodHandle destroy = library.function("cublasDestroy_v2", JAVA_INT, JAVA_LONG);
      check("cublasDestroy", (int) destroy.invokeExact(handle));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  private void check(String call, int code) {
    if (code != 0) {
      throw new IllegalStateException(
          "%s of %s failed with cublasStatus_t %d".formatted(call, library.path(), code));
    }
  }
}
