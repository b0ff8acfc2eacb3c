package org.pretrain4j.trainer.libtorch;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import ai.djl.pytorch.engine.PtNDManager;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * One ATen operator, called by name through libtorch's dispatcher (so device, automatic
 * differentiation and type promotion are libtorch's own).
 *
 * <p>Arguments travel as one 64-bit slot each, in the order of the operator's schema, all of them:
 * integers, booleans and element types by value, reals by their bits, tensors as handles that the
 * call consumes, an absent optional as 0, a present one as a pointer to a cell that the callee
 * frees. Results come back from slot 0 on. Slots beyond the arguments are 0: an optional argument
 * that a newer libtorch has appended is absent.
 */
@SuppressWarnings("restricted")
final class Operator {
  private final String name;
  private final MemorySegment nativeName;
  private final MemorySegment nativeOverload;
  private final int results;
  private final int opaque;

  private Operator(String name, String overload, int results, int opaque) {
    this.name = overload.isEmpty() ? name : name + "." + overload;
    this.nativeName = Arena.global().allocateFrom(name);
    this.nativeOverload = Arena.global().allocateFrom(overload);
    this.results = results;
    this.opaque = opaque;
  }

  static Operator of(String name, String overload) {
    return new Operator(name, overload, 1, 0);
  }

  static Operator of(String name, String overload, int results) {
    return new Operator(name, overload, results, 0);
  }

  /**
   * @param opaque how many of the results, the last ones, are of types that are passed on only
   */
  static Operator of(String name, String overload, int results, int opaque) {
    return new Operator(name, overload, results, opaque);
  }

  Call on(Tensor first) {
    return new Call(first);
  }

  /** The arguments of one call. */
  final class Call {
    private final PtNDManager manager;
    private final List<Tensor> tensors = new ArrayList<>(4);
    private final long[] slots = new long[24];
    private final Tensor[] slotTensors = new Tensor[24];
    private final boolean[] optional = new boolean[24];
    private final char[] kinds = new char[24]; // of numbers, by the first letter of their type
    private int count;

    private Call(Tensor first) {
      manager = first.getManager();
      tensor(first);
    }

    Call tensor(Tensor tensor) {
      tensors.add(tensor);
      slotTensors[count++] = tensor;
      return this;
    }

    /** A tensor that may be absent (null). */
    Call optionalTensor(Tensor tensor) {
      if (tensor == null) {
        return none();
      }
      tensors.add(tensor);
      optional[count] = true;
      slotTensors[count++] = tensor;
      return this;
    }

    Call integer(long value) {
      kinds[count] = 'i';
      slots[count++] = value;
      return this;
    }

    Call flag(boolean value) {
      kinds[count] = 'b';
      slots[count++] = value ? 1 : 0;
      return this;
    }

    Call real(double value) {
      kinds[count] = 'f';
      slots[count++] = Double.doubleToRawLongBits(value);
      return this;
    }

    Call optionalInteger(long value) {
      optional[count] = true;
      return integer(value);
    }

    Call optionalReal(double value) {
      optional[count] = true;
      return real(value);
    }

    Call none() {
      slots[count++] = 0;
      return this;
    }

    /** Calls an operator with one result, which belongs to the first tensor's manager. */
    Tensor result() {
      return invoke().getFirst();
    }

    List<Tensor> results() {
      return invoke();
    }

    private List<Tensor> invoke() {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment stack = arena.allocate(JAVA_LONG, slots.length);
        for (int i = 0; i < count; i++) {
          long value =
              slotTensors[i] == null ? slots[i] : Tensor.newHandle(slotTensors[i].handle());
          stack.setAtIndex(JAVA_LONG, i, optional[i] ? cell(value) : value);
        }
        int code = (int) Libtorch.CALL_DISPATCHER.invokeExact(nativeName, nativeOverload, stack);
        if (code != 0) {
          throw new LibtorchException(describe());
        }
        List<Tensor> out = new ArrayList<>(results);
        for (int i = 0; i < results; i++) {
          long handle = stack.getAtIndex(JAVA_LONG, i);
          out.add(
              i < results - opaque
                  ? Tensor.own(manager, handle)
                  : Tensor.ownOpaque(manager, handle));
        }
        return out;
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw Libtorch.unexpected(e);
      }
    }

    private long cell(long value) throws Throwable {
      MemorySegment cell = (MemorySegment) Libtorch.MALLOC.invokeExact(8L);
      if (cell.equals(MemorySegment.NULL)) {
        throw new OutOfMemoryError("malloc of 8 bytes");
      }
      cell.reinterpret(8).set(JAVA_LONG, 0, value);
      return cell.address();
    }

    private String describe() {
      StringBuilder text = new StringBuilder(name).append(" failed on ");
      for (Tensor tensor : tensors) {
        text.append(tensor.describe()).append(' ');
      }
      text.append("with (");
      for (int i = 0; i < count; i++) {
        text.append(i == 0 ? "" : ", ").append(kind(i));
      }
      return text.append(") (libtorch's own words are on standard error)").toString();
    }

    /** The type of an argument as schemas write it. */
    private String kind(int slot) {
      String type =
          slotTensors[slot] != null
              ? "Tensor"
              : switch (kinds[slot]) {
                case 'i' -> "int";
                case 'b' -> "bool";
                case 'f' -> "float";
                default -> "None";
              };
      return optional[slot] ? type + "?" : type;
    }
  }
}
