package org.pretrain4j.trainer.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.JniUtils;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/**
 * A libtorch tensor that is a DJL array too, and knows its element type without asking DJL, whose
 * type table ends before bfloat16 (asking it about a bfloat16 array aborts the process).
 *
 * <p>A tensor belongs to the manager that it was made with and is freed with it, or earlier by
 * {@link #close}. {@link #live} counts the ones that are not freed yet.
 */
@SuppressWarnings("restricted")
public final class Tensor extends PtNDArray {
  private static final AtomicLong LIVE = new AtomicLong();

  private final ScalarType type;
  private final long[] sizes;

  private Tensor(PtNDManager manager, long handle, ScalarType type, long[] sizes) {
    super(manager, handle);
    this.type = type;
    this.sizes = sizes;
    LIVE.incrementAndGet();
  }

  /** Number of tensors of this process that are not freed. */
  public static long live() {
    return LIVE.get();
  }

  /** Takes over a handle that the caller owns. */
  static Tensor own(PtNDManager manager, long handle) {
    return new Tensor(manager, handle, typeOf(handle), sizesOf(handle));
  }

  /** Takes over a handle to something that is only passed on: its type and shape are not known. */
  static Tensor ownOpaque(PtNDManager manager, long handle) {
    return new Tensor(manager, handle, ScalarType.OPAQUE, new long[0]);
  }

  /** Takes an array over from DJL, which is closed; the tensor stays. */
  public static Tensor adopt(NDArray array) {
    if (array instanceof Tensor tensor) {
      return tensor;
    }
    PtNDArray source = (PtNDArray) array;
    long handle = newHandle(source.getHandle());
    Tensor tensor = own(source.getManager(), handle);
    source.close();
    return tensor;
  }

  /** An uninitialised, contiguous tensor. */
  public static Tensor empty(NDManager manager, ScalarType type, long... sizes) {
    long[] strides = contiguousStrides(sizes);
    Device device = manager.getDevice();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ADDRESS);
      check(
          (int)
              Libtorch.EMPTY_STRIDED.invokeExact(
                  (long) sizes.length,
                  arena.allocateFrom(JAVA_LONG, sizes),
                  arena.allocateFrom(JAVA_LONG, strides),
                  type.code(),
                  device.isGpu() ? 1 : 0,
                  Math.max(device.getDeviceId(), 0),
                  out),
          () -> "an empty tensor of " + type + Arrays.toString(sizes));
      return new Tensor((PtNDManager) manager, out.get(JAVA_LONG, 0), type, sizes.clone());
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }

  /** A contiguous tensor of zeros. */
  public static Tensor zeros(NDManager manager, ScalarType type, long... sizes) {
    Tensor tensor = empty(manager, type, sizes);
    tensor.zero();
    return tensor;
  }

  /** A tensor of the given values on the manager's device. */
  public static Tensor of(NDManager manager, long[] values, long... sizes) {
    return copyOf(manager, MemorySegment.ofArray(values), ScalarType.INT64, sizes);
  }

  /** A tensor of the given values on the manager's device. */
  public static Tensor of(NDManager manager, float[] values, long... sizes) {
    return copyOf(manager, MemorySegment.ofArray(values), ScalarType.FLOAT32, sizes);
  }

  /** A tensor of booleans, one byte each (0 or 1), on the manager's device. */
  public static Tensor ofBooleans(NDManager manager, byte[] values, long... sizes) {
    return copyOf(manager, MemorySegment.ofArray(values), ScalarType.BOOL, sizes);
  }

  private static Tensor copyOf(
      NDManager manager, MemorySegment values, ScalarType type, long[] sizes) {
    Tensor target = empty(manager, type, sizes);
    if (values.byteSize() != target.elements() * type.bytes()) {
      target.close();
      throw new IllegalArgumentException(
          values.byteSize() + " bytes do not fill " + type + Arrays.toString(sizes));
    }
    if (!target.getDevice().isGpu()) {
      target.segment().copyFrom(values);
      return target;
    }
    try (NDManager host = manager.newSubManager(Device.cpu())) {
      Tensor staging = empty(host, type, sizes);
      staging.segment().copyFrom(values);
      target.copyFrom(staging);
    }
    return target;
  }

  /**
   * Another tensor over the same memory, outside of automatic differentiation.
   *
   * @param manager owner of the view
   * @param offset first element, counted from the start of the underlying storage
   * @param sizes its shape, contiguous
   */
  public Tensor view(NDManager manager, long offset, long... sizes) {
    return view(manager, offset, sizes, contiguousStrides(sizes));
  }

  /** The same with strides, in elements. */
  public Tensor view(NDManager manager, long offset, long[] sizes, long[] strides) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ADDRESS);
      check(
          (int)
              Libtorch.REINTERPRET.invokeExact(
                  handle(),
                  (long) sizes.length,
                  arena.allocateFrom(JAVA_LONG, sizes),
                  arena.allocateFrom(JAVA_LONG, strides),
                  offset,
                  out),
          () -> "a view of shape " + Arrays.toString(sizes) + " on " + describe());
      return new Tensor((PtNDManager) manager, out.get(JAVA_LONG, 0), type, sizes.clone());
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }

  /**
   * Another handle on the same tensor, graph and all.
   *
   * @param manager owner of the handle
   */
  public Tensor alias(NDManager manager) {
    return new Tensor((PtNDManager) manager, newHandle(handle()), type, sizes);
  }

  /** Marks a leaf, so that {@link #gradient} has something to say after a backward pass. */
  public Tensor requireGradient() {
    JniUtils.attachGradient(this, true);
    return this;
  }

  /** The gradient that the last backward pass left at this leaf, of this shape and type. */
  public Tensor gradient() {
    return adopt(JniUtils.getGradient(this));
  }

  /**
   * Backpropagates from this tensor to the leaves of its graph, and frees the graph.
   *
   * @param seed the gradient with respect to this tensor, of its shape
   */
  public void backward(Tensor seed) {
    JniUtils.backward(this, seed, false, false);
  }

  /** Copies values over, converting type and device. */
  public void copyFrom(Tensor source) {
    try {
      check(
          (int) Libtorch.COPY.invokeExact(handle(), source.handle(), 0),
          () -> "a copy from " + source.describe() + " to " + describe());
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }

  /** Sets every element to zero. */
  public void zero() {
    try {
      check((int) Libtorch.ZERO.invokeExact(handle()), () -> "zero on " + describe());
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }

  /** Address of the first element, on the tensor's device. */
  public long address() {
    return query(Libtorch.GET_DATA_PTR, handle());
  }

  /** The elements of a contiguous tensor in host memory, valid while the tensor lives. */
  public MemorySegment segment() {
    if (getDevice().isGpu()) {
      throw new IllegalStateException("the memory of " + describe() + " is not the host's");
    }
    return MemorySegment.ofAddress(address()).reinterpret(elements() * type.bytes());
  }

  /** Element type. */
  public ScalarType type() {
    return type;
  }

  /** Number of elements. */
  public long elements() {
    long product = 1;
    for (long size : sizes) {
      product *= size;
    }
    return product;
  }

  /** Size of one axis; negative ones count from the last. */
  public long size(int axis) {
    return sizes[axis < 0 ? sizes.length + axis : axis];
  }

  long[] sizes() {
    return sizes;
  }

  long handle() {
    return getHandle();
  }

  /** Type and shape, for messages. */
  public String describe() {
    return type + Arrays.toString(sizes);
  }

  @Override
  public DataType getDataType() {
    return type.dataType();
  }

  @Override
  public Shape getShape() {
    return new Shape(sizes);
  }

  @Override
  public void close() {
    boolean counts = !isReleased();
    super.close();
    if (counts) {
      LIVE.decrementAndGet();
    }
  }

  static long newHandle(long handle) {
    return query(Libtorch.NEW_TENSOR_HANDLE, handle);
  }

  private static ScalarType typeOf(long handle) {
    return ScalarType.ofCode((int) query(Libtorch.GET_DTYPE, handle));
  }

  private static long[] sizesOf(long handle) {
    int rank = (int) query(Libtorch.GET_DIM, handle);
    long address = query(Libtorch.GET_SIZES, handle);
    return MemorySegment.ofAddress(address).reinterpret(8L * rank).toArray(JAVA_LONG);
  }

  private static long query(MethodHandle function, long handle) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_LONG);
      check((int) function.invokeExact(handle, out), () -> "a query of a tensor");
      return function == Libtorch.GET_DTYPE ? out.get(JAVA_INT, 0) : out.get(JAVA_LONG, 0);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }

  private static void check(int code, Supplier<String> what) {
    if (code != 0) {
      throw new LibtorchException("libtorch refused " + what.get());
    }
  }

  static long[] contiguousStrides(long[] sizes) {
    long[] strides = new long[sizes.length];
    long stride = 1;
    for (int axis = sizes.length - 1; axis >= 0; axis--) {
      strides[axis] = stride;
      stride *= sizes[axis];
    }
    return strides;
  }
}
