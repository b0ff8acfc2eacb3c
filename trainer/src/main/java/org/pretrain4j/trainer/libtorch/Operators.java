package org.pretrain4j.trainer.libtorch;

import ai.djl.Device;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * The operators that the model is made of, differentiable where a {@link GradientMode} records.
 * Results belong to the first tensor's manager.
 */
public final class Operators {
  private static final int REDUCE_NOT = 0;
  private static final int REDUCE_SUM = 2;

  private static final Operator EMBEDDING = Operator.of("aten::embedding", "");
  private static final Operator EMBEDDING_GRADIENT =
      Operator.of("aten::embedding_dense_backward", "");
  private static final Operator LINEAR = Operator.of("aten::linear", "");
  private static final Operator ATTENTION = Operator.of("aten::scaled_dot_product_attention", "");
  private static final Operator CROSS_ENTROPY = Operator.of("aten::cross_entropy_loss", "");
  private static final Operator SILU = Operator.of("aten::silu", "");
  private static final Operator MUL = Operator.of("aten::mul", "Tensor");
  private static final Operator TO = Operator.of("aten::to", "dtype");
  private static final Operator RSQRT = Operator.of("aten::rsqrt", "");
  private static final Operator TRANSPOSE = Operator.of("aten::transpose", "int");
  private static final Operator CONTIGUOUS = Operator.of("aten::contiguous", "");
  private static final Operator SLICE = Operator.of("aten::slice", "Tensor");
  private static final Operator REPEAT = Operator.of("aten::repeat_interleave", "self_int");
  private static final Operator SOFTMAX = Operator.of("aten::softmax", "int");
  private static final Operator MATMUL = Operator.of("aten::matmul", "");
  private static final Operator MATMUL_INTO = Operator.of("aten::mm", "out");
  private static final Operator CPU_ATTENTION =
      Operator.of("aten::_scaled_dot_product_flash_attention_for_cpu", "", 2);
  private static final Operator CPU_ATTENTION_BACKWARD =
      Operator.of("aten::_scaled_dot_product_flash_attention_for_cpu_backward", "", 3);
  // Their last results are the state of random numbers, which differs between versions.
  private static final Operator VARLEN_ATTENTION =
      Operator.of("aten::_flash_attention_forward", "", 5, 3);
  private static final Operator VARLEN_ATTENTION_BACKWARD =
      Operator.of("aten::_flash_attention_backward", "", 3);
  private static final Operator NEG = Operator.of("aten::neg", "");

  private Operators() {}

  /**
   * Rows of a table.
   *
   * @param table {@code [vocabulary, hidden]}
   * @param indices {@code [batch, sequence]}, int64
   * @return {@code [batch, sequence, hidden]}
   */
  public static Tensor embedding(Tensor table, Tensor indices) {
    return EMBEDDING.on(table).tensor(indices).integer(-1).flag(false).flag(false).result();
  }

  /**
   * Gradient of {@link #embedding} with respect to the table, for a backward pass by hand.
   *
   * @param gradient {@code [tokens, hidden]}
   * @param indices {@code [tokens]}, int64
   * @param vocabulary rows of the table
   * @return {@code [vocabulary, hidden]}, of the gradient's type
   */
  public static Tensor embeddingGradient(Tensor gradient, Tensor indices, long vocabulary) {
    return EMBEDDING_GRADIENT
        .on(gradient)
        .tensor(indices)
        .integer(vocabulary)
        .integer(-1)
        .flag(false)
        .result();
  }

  /**
   * {@code x weightᵀ}, without a bias.
   *
   * @param x {@code [..., in]}
   * @param weight {@code [out, in]}
   * @return {@code [..., out]}
   */
  public static Tensor linear(Tensor x, Tensor weight) {
    return LINEAR.on(x).tensor(weight).none().result();
  }

  /** Matrix product, broadcast over leading axes. */
  public static Tensor matmul(Tensor a, Tensor b) {
    return MATMUL.on(a).tensor(b).result();
  }

  /**
   * {@code out = a b}, not differentiable.
   *
   * @param a {@code [m, k]}, of any strides
   * @param b {@code [k, n]}, of any strides
   * @param out {@code [m, n]}
   */
  public static void matmulInto(Tensor a, Tensor b, Tensor out) {
    MATMUL_INTO.on(a).tensor(b).tensor(out).result().close();
  }

  /** {@code sum += a b}, not differentiable: {@code [m, k] x [k, n]}, rounded once. */
  public static void addMatmul(Tensor sum, Tensor a, Tensor b) {
    try {
      int code =
          (int)
              Libtorch.ADDMM_OUT.invokeExact(
                  sum.handle(), sum.handle(), a.handle(), b.handle(), 1f, 1f);
      if (code != 0) {
        throw new LibtorchException(
            "addmm failed on " + sum.describe() + " " + a.describe() + " " + b.describe());
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw Libtorch.unexpected(e);
    }
  }

  /**
   * What the CPU's flash attention gives: the output, and the logarithms of the sums of the
   * exponentials that its backward pass needs.
   *
   * @param output {@code [batch, heads, sequence, headDim]}
   * @param logSumExp float32 {@code [batch, heads, sequence]}
   */
  public record FlashAttention(Tensor output, Tensor logSumExp) implements AutoCloseable {
    @Override
    public void close() {
      output.close();
      logSumExp.close();
    }
  }

  /** Gradients of flash attention, of the shapes of query, key and value. */
  public record FlashGradients(Tensor query, Tensor key, Tensor value) implements AutoCloseable {
    @Override
    public void close() {
      query.close();
      key.close();
      value.close();
    }
  }

  /** Causal flash attention on the CPU, for a backward pass by hand; any strides but the last. */
  public static FlashAttention cpuFlashAttention(
      Tensor query, Tensor key, Tensor value, double scale) {
    List<Tensor> results =
        CPU_ATTENTION
            .on(query)
            .tensor(key)
            .tensor(value)
            .real(0)
            .flag(true)
            .none()
            .optionalReal(scale)
            .results();
    return new FlashAttention(results.get(0), results.get(1));
  }

  /** Backward pass of {@link #cpuFlashAttention}. */
  public static FlashGradients cpuFlashAttentionBackward(
      Tensor gradient,
      Tensor query,
      Tensor key,
      Tensor value,
      FlashAttention forward,
      double scale) {
    List<Tensor> results =
        CPU_ATTENTION_BACKWARD
            .on(gradient)
            .tensor(query)
            .tensor(key)
            .tensor(value)
            .tensor(forward.output())
            .tensor(forward.logSumExp())
            .real(0)
            .flag(true)
            .none()
            .optionalReal(scale)
            .results();
    return new FlashGradients(results.get(0), results.get(1), results.get(2));
  }

  /**
   * What flash attention over sequences of different lengths gives.
   *
   * @param output {@code [tokens, heads, headDim]}
   * @param logSumExp float32, for the backward pass
   * @param randomState for the backward pass, as is unused
   */
  public record VarlenAttention(
      Tensor output, Tensor logSumExp, Tensor randomState, Tensor unused) {}

  /**
   * Causal flash attention within each of several sequences that lie one after the other, on GPUs.
   * Heads of keys and values may be fewer by a whole factor.
   *
   * @param query {@code [tokens, heads, headDim]} in bfloat16, elements of a head side by side
   * @param key {@code [tokens, keyValueHeads, headDim]}
   * @param value the same shape
   * @param cumulativeLengths int32 {@code [sequences + 1]}: where each begins, and the end
   * @param longest tokens of the longest sequence
   */
  public static VarlenAttention varlenAttention(
      Tensor query,
      Tensor key,
      Tensor value,
      Tensor cumulativeLengths,
      long longest,
      double scale) {
    List<Tensor> results =
        VARLEN_ATTENTION
            .on(query)
            .tensor(key)
            .tensor(value)
            .optionalTensor(cumulativeLengths)
            .optionalTensor(cumulativeLengths)
            .integer(longest)
            .integer(longest)
            .real(0) // dropout
            .flag(true) // causal
            .flag(false) // no mask for debugging
            .optionalReal(scale)
            .none() // window to the left, to the right
            .none()
            .none() // used lengths
            .none() // slopes
            .results();
    results.get(4).close();
    return new VarlenAttention(results.get(0), results.get(1), results.get(2), results.get(3));
  }

  /** Backward pass of {@link #varlenAttention}. */
  public static FlashGradients varlenAttentionBackward(
      Tensor gradient,
      Tensor query,
      Tensor key,
      Tensor value,
      VarlenAttention forward,
      Tensor cumulativeLengths,
      long longest,
      double scale) {
    List<Tensor> results =
        VARLEN_ATTENTION_BACKWARD
            .on(gradient)
            .tensor(query)
            .tensor(key)
            .tensor(value)
            .tensor(forward.output())
            .tensor(forward.logSumExp())
            .tensor(cumulativeLengths)
            .tensor(cumulativeLengths)
            .integer(longest)
            .integer(longest)
            .real(0)
            .flag(true)
            .tensor(forward.randomState())
            .tensor(forward.unused())
            .optionalReal(scale)
            .none()
            .none()
            .results();
    return new FlashGradients(results.get(0), results.get(1), results.get(2));
  }

  /**
   * {@code softmax(q kᵀ scale + mask) v}, by the fastest kernel that libtorch has for the device.
   *
   * @param query {@code [batch, heads, sequence, headDim]}
   * @param key the same shape; grouped heads must be repeated first
   * @param value the same shape
   * @param mask booleans {@code [sequence, sequence]} or {@code [batch, 1, sequence, sequence]},
   *     true where a query may look; or null
   * @param causal whether to look back only; not together with a mask
   * @param scale factor on the scores
   */
  public static Tensor attention(
      Tensor query, Tensor key, Tensor value, Tensor mask, boolean causal, double scale) {
    return ATTENTION
        .on(query)
        .tensor(key)
        .tensor(value)
        .optionalTensor(mask)
        .real(0)
        .flag(causal)
        .optionalReal(scale)
        .flag(false)
        .result();
  }

  /**
   * Sum of the cross entropies of all rows whose target is not {@code ignoreIndex}.
   *
   * @param logits {@code [tokens, vocabulary]}
   * @param targets {@code [tokens]}, int64
   * @return a scalar of the logits' type
   */
  public static Tensor crossEntropySum(Tensor logits, Tensor targets, long ignoreIndex) {
    return crossEntropy(logits, targets, ignoreIndex, REDUCE_SUM);
  }

  /**
   * The cross entropy of each row, 0 where the target is {@code ignoreIndex}.
   *
   * @param logits {@code [tokens, vocabulary]}
   * @param targets {@code [tokens]}, int64
   * @return {@code [tokens]}, of the logits' type
   */
  public static Tensor crossEntropyOfEach(Tensor logits, Tensor targets, long ignoreIndex) {
    return crossEntropy(logits, targets, ignoreIndex, REDUCE_NOT);
  }

  private static Tensor crossEntropy(
      Tensor logits, Tensor targets, long ignoreIndex, long reduction) {
    return CROSS_ENTROPY
        .on(logits)
        .tensor(targets)
        .none()
        .integer(reduction)
        .integer(ignoreIndex)
        .real(0)
        .result();
  }

  /** {@code x sigmoid(x)}. */
  public static Tensor silu(Tensor x) {
    return SILU.on(x).result();
  }

  /** Softmax over one axis. */
  public static Tensor softmax(Tensor x, int axis) {
    return SOFTMAX.on(x).integer(axis).none().result();
  }

  /** Product, element by element, broadcast. */
  public static Tensor mul(Tensor a, Tensor b) {
    return MUL.on(a).tensor(b).result();
  }

  /** {@code -x}. */
  public static Tensor negate(Tensor x) {
    return NEG.on(x).result();
  }

  /** Sum, element by element, of two tensors of one type. */
  public static Tensor add(Tensor a, Tensor b) {
    return Tensor.adopt(a.add(b));
  }

  /** {@code sum += addend}, element by element; both of one type that DJL knows. */
  public static void addTo(Tensor sum, Tensor addend) {
    sum.addi(addend);
  }

  /** Sum with a number; for float32. */
  public static Tensor add(Tensor a, double number) {
    return Tensor.adopt(a.add(number));
  }

  /** Mean over the last axis, which stays with size 1; for float32. */
  public static Tensor meanOfLastAxis(Tensor x) {
    return Tensor.adopt(x.mean(new int[] {x.sizes().length - 1}, true));
  }

  /** Sum over one axis, which goes. */
  public static Tensor sumOverAxis(Tensor x, int axis) {
    return Tensor.adopt(x.sum(new int[] {axis}));
  }

  /** {@code 1 / sqrt(x)}. */
  public static Tensor rsqrt(Tensor x) {
    return RSQRT.on(x).result();
  }

  /** Another element type; the tensor itself where it has that type already. */
  public static Tensor to(Tensor x, ScalarType type) {
    return x.type() == type
        ? x
        : TO.on(x).integer(type.code()).flag(false).flag(false).none().result();
  }

  /** The one element of a float32 scalar, on the host. */
  public static float toHostFloat(Tensor scalar) {
    if (scalar.type() != ScalarType.FLOAT32 || scalar.elements() != 1) {
      throw new IllegalArgumentException(scalar.describe() + " is not a float32 scalar");
    }
    if (!scalar.getDevice().isGpu()) {
      return scalar.segment().get(ValueLayout.JAVA_FLOAT, 0);
    }
    try (NDManager host = scalar.getManager().newSubManager(Device.cpu())) {
      Tensor copy = Tensor.empty(host, ScalarType.FLOAT32, 1);
      copy.copyFrom(reshape(scalar, 1));
      return copy.segment().get(ValueLayout.JAVA_FLOAT, 0);
    }
  }

  /** The same elements in another shape. */
  public static Tensor reshape(Tensor x, long... sizes) {
    return Tensor.adopt(x.reshape(new Shape(sizes)));
  }

  /** Two axes changed places; a view. */
  public static Tensor transpose(Tensor x, int first, int second) {
    return TRANSPOSE.on(x).integer(first).integer(second).result();
  }

  /** A row-major copy, or the tensor itself where it is row-major. */
  public static Tensor contiguous(Tensor x) {
    return CONTIGUOUS.on(x).integer(0).result();
  }

  /** Elements {@code [start, end)} of one axis; a view. */
  public static Tensor slice(Tensor x, int axis, long start, long end) {
    return SLICE
        .on(x)
        .integer(axis)
        .optionalInteger(start)
        .optionalInteger(end)
        .integer(1)
        .result();
  }

  /** Every element of an axis {@code times} times in a row. */
  public static Tensor repeatInterleave(Tensor x, long times, int axis) {
    return times == 1 ? x : REPEAT.on(x).integer(times).optionalInteger(axis).none().result();
  }

  /** Tensors side by side along one axis. */
  public static Tensor concat(List<Tensor> parts, int axis) {
    if (parts.size() == 1) {
      return parts.getFirst();
    }
    NDList list = new NDList();
    list.addAll(parts);
    return Tensor.adopt(NDArrays.concat(list, axis));
  }
}
