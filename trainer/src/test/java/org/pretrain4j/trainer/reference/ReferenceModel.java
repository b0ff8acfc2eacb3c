package org.pretrain4j.trainer.reference;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/**
 * SmolLM3 on one row of tokens, in float64. Matrices are row-major, weights are [out, in], and
 * every linear map is {@code y = x W^T} without bias.
 */
public final class ReferenceModel {
  /** A target that does not count. */
  public static final int MASKED = -100;

  /**
   * Sizes and constants of the architecture.
   *
   * @param noRopeLayerInterval layer {@code l} (0-based) does not rotate if {@code (l + 1)} is a
   *     multiple of it; 0: every layer rotates
   */
  public record Config(
      int vocabSize,
      int hiddenSize,
      int intermediateSize,
      int numHiddenLayers,
      int numAttentionHeads,
      int numKeyValueHeads,
      int headDim,
      double ropeTheta,
      int noRopeLayerInterval,
      double rmsNormEps,
      boolean tieWordEmbeddings) {

    /** Name to number of elements of each parameter, in the order of the forward pass. */
    public Map<String, Integer> parameterSizes() {
      Map<String, Integer> sizes = new LinkedHashMap<>();
      int queries = numAttentionHeads * headDim;
      int keys = numKeyValueHeads * headDim;
      sizes.put(EMBEDDING, vocabSize * hiddenSize);
      for (int l = 0; l < numHiddenLayers; l++) {
        String layer = "model.layers." + l + ".";
        sizes.put(layer + "input_layernorm.weight", hiddenSize);
        sizes.put(layer + "self_attn.q_proj.weight", queries * hiddenSize);
        sizes.put(layer + "self_attn.k_proj.weight", keys * hiddenSize);
        sizes.put(layer + "self_attn.v_proj.weight", keys * hiddenSize);
        sizes.put(layer + "self_attn.o_proj.weight", hiddenSize * queries);
        sizes.put(layer + "post_attention_layernorm.weight", hiddenSize);
        sizes.put(layer + "mlp.gate_proj.weight", intermediateSize * hiddenSize);
        sizes.put(layer + "mlp.up_proj.weight", intermediateSize * hiddenSize);
        sizes.put(layer + "mlp.down_proj.weight", hiddenSize * intermediateSize);
      }
      sizes.put(FINAL_NORM, hiddenSize);
      if (!tieWordEmbeddings) {
        sizes.put(HEAD, vocabSize * hiddenSize);
      }
      return sizes;
    }
  }

  /** Mean cross entropy over the targets that count, and its gradient for every parameter. */
  public record LossAndGradients(double loss, Map<String, double[]> gradients) {}

  private static final String EMBEDDING = "model.embed_tokens.weight";
  private static final String FINAL_NORM = "model.norm.weight";
  private static final String HEAD = "lm_head.weight";

  private final Config config;
  private final Map<String, double[]> parameters;

  /** Uses the arrays that are given, so that a test may change a value between two calls. */
  public ReferenceModel(Config config, Map<String, double[]> parameters) {
    config
        .parameterSizes()
        .forEach(
            (name, size) -> {
              if (!parameters.containsKey(name) || parameters.get(name).length != size) {
                throw new IllegalArgumentException(name + " must have " + size + " elements");
              }
            });
    if (parameters.size() != config.parameterSizes().size()) {
      throw new IllegalArgumentException("unknown parameters among " + parameters.keySet());
    }
    this.config = config;
    this.parameters = parameters;
  }

  /** Normal values of the given standard deviation; around 1 for norms, so that they matter. */
  public static Map<String, double[]> randomParameters(Config config, Random random, double std) {
    Map<String, double[]> parameters = new LinkedHashMap<>();
    config
        .parameterSizes()
        .forEach(
            (name, size) -> {
              double mean = name.endsWith("norm.weight") ? 1 : 0;
              double[] values = new double[size];
              Arrays.setAll(values, i -> mean + std * random.nextGaussian());
              parameters.put(name, values);
            });
    return parameters;
  }

  /** Logits [tokens, vocabSize] of one row whose documents begin at 0 and at documentStarts. */
  public double[] logits(int[] tokens, int[] documentStarts) {
    return new Pass(tokens, documentStarts).logits;
  }

  /** Mean cross entropy over the targets that are not {@link #MASKED}. */
  public double loss(int[] tokens, int[] targets, int[] documentStarts) {
    return crossEntropy(logits(tokens, documentStarts), targets, null);
  }

  /** The loss and its gradient by the backward pass below. */
  public LossAndGradients lossAndGradients(int[] tokens, int[] targets, int[] documentStarts) {
    Pass pass = new Pass(tokens, documentStarts);
    double[] dLogits = new double[pass.logits.length];
    double loss = crossEntropy(pass.logits, targets, dLogits);
    return new LossAndGradients(loss, pass.backward(dLogits));
  }

  private double crossEntropy(double[] logits, int[] targets, double[] dLogits) {
    int vocab = config.vocabSize();
    int counted = 0;
    for (int target : targets) {
      counted += target == MASKED ? 0 : 1;
    }
    double sum = 0;
    for (int t = 0; t < targets.length; t++) {
      if (targets[t] == MASKED) {
        continue;
      }
      double max = Double.NEGATIVE_INFINITY;
      for (int v = 0; v < vocab; v++) {
        max = Math.max(max, logits[t * vocab + v]);
      }
      double total = 0;
      for (int v = 0; v < vocab; v++) {
        total += Math.exp(logits[t * vocab + v] - max);
      }
      sum += max + Math.log(total) - logits[t * vocab + targets[t]];
      if (dLogits != null) {
        for (int v = 0; v < vocab; v++) {
          double probability = Math.exp(logits[t * vocab + v] - max) / total;
          dLogits[t * vocab + v] = (probability - (v == targets[t] ? 1 : 0)) / counted;
        }
      }
    }
    return sum / counted;
  }

  private boolean rotates(int layer) {
    int interval = config.noRopeLayerInterval();
    return interval == 0 || (layer + 1) % interval != 0;
  }

  /** What the backward pass needs of one layer. */
  private static final class Activations {
    double[] input;
    double[] attentionInput;
    double[] q;
    double[] k;
    double[] v;
    double[] probabilities; // [heads, tokens, tokens]
    double[] attended;
    double[] middle;
    double[] mlpInput;
    double[] gate;
    double[] up;
    double[] activated;
  }

  /** One forward pass and, on demand, its backward pass. */
  private final class Pass {
    private final int[] tokens;
    private final int[] document;
    private final int rows;
    private final Activations[] layers = new Activations[config.numHiddenLayers()];
    private final Map<String, double[]> gradients = new LinkedHashMap<>();
    private final double[] last;
    private final double[] lastNormed;
    final double[] logits;

    Pass(int[] tokens, int[] documentStarts) {
      this.tokens = tokens;
      rows = tokens.length;
      document = new int[rows];
      for (int start : documentStarts) {
        for (int t = start; t < rows; t++) {
          document[t]++;
        }
      }
      int hidden = config.hiddenSize();
      double[] x = new double[rows * hidden];
      for (int t = 0; t < rows; t++) {
        System.arraycopy(weight(EMBEDDING), tokens[t] * hidden, x, t * hidden, hidden);
      }
      for (int l = 0; l < layers.length; l++) {
        x = forwardLayer(l, x);
      }
      last = x;
      lastNormed = rmsNorm(last, weight(FINAL_NORM));
      logits = linear(lastNormed, headName());
    }

    private String headName() {
      return config.tieWordEmbeddings() ? EMBEDDING : HEAD;
    }

    private double[] forwardLayer(int l, double[] x) {
      String name = "model.layers." + l + ".";
      Activations a = new Activations();
      layers[l] = a;
      a.input = x;
      a.attentionInput = rmsNorm(x, weight(name + "input_layernorm.weight"));
      a.q = linear(a.attentionInput, name + "self_attn.q_proj.weight");
      a.k = linear(a.attentionInput, name + "self_attn.k_proj.weight");
      a.v = linear(a.attentionInput, name + "self_attn.v_proj.weight");
      if (rotates(l)) {
        rotate(a.q, config.numAttentionHeads(), 1);
        rotate(a.k, config.numKeyValueHeads(), 1);
      }
      attend(a);
      a.middle = sum(x, linear(a.attended, name + "self_attn.o_proj.weight"));
      a.mlpInput = rmsNorm(a.middle, weight(name + "post_attention_layernorm.weight"));
      a.gate = linear(a.mlpInput, name + "mlp.gate_proj.weight");
      a.up = linear(a.mlpInput, name + "mlp.up_proj.weight");
      a.activated = new double[a.gate.length];
      for (int i = 0; i < a.gate.length; i++) {
        a.activated[i] = a.gate[i] * sigmoid(a.gate[i]) * a.up[i];
      }
      return sum(a.middle, linear(a.activated, name + "mlp.down_proj.weight"));
    }

    /** Gradients of all parameters, given that of the logits. */
    Map<String, double[]> backward(double[] dLogits) {
      parameters.forEach((name, values) -> gradients.put(name, new double[values.length]));
      double[] dNormed = linearBackward(dLogits, lastNormed, headName());
      double[] dx = rmsNormBackward(dNormed, last, FINAL_NORM);
      for (int l = layers.length - 1; l >= 0; l--) {
        dx = backwardLayer(l, dx);
      }
      int hidden = config.hiddenSize();
      for (int t = 0; t < rows; t++) {
        for (int h = 0; h < hidden; h++) {
          gradients.get(EMBEDDING)[tokens[t] * hidden + h] += dx[t * hidden + h];
        }
      }
      return gradients;
    }

    private double[] backwardLayer(int l, double[] dOutput) {
      String name = "model.layers." + l + ".";
      Activations a = layers[l];
      double[] dActivated = linearBackward(dOutput, a.activated, name + "mlp.down_proj.weight");
      double[] dGate = new double[a.gate.length];
      double[] dUp = new double[a.gate.length];
      for (int i = 0; i < a.gate.length; i++) {
        double s = sigmoid(a.gate[i]);
        dUp[i] = dActivated[i] * a.gate[i] * s;
        dGate[i] = dActivated[i] * a.up[i] * s * (1 + a.gate[i] * (1 - s));
      }
      double[] dMlpInput =
          sum(
              linearBackward(dGate, a.mlpInput, name + "mlp.gate_proj.weight"),
              linearBackward(dUp, a.mlpInput, name + "mlp.up_proj.weight"));
      double[] dMiddle =
          sum(
              dOutput,
              rmsNormBackward(dMlpInput, a.middle, name + "post_attention_layernorm.weight"));

      double[] dAttended = linearBackward(dMiddle, a.attended, name + "self_attn.o_proj.weight");
      double[] dq = new double[a.q.length];
      double[] dk = new double[a.k.length];
      double[] dv = new double[a.v.length];
      attendBackward(a, dAttended, dq, dk, dv);
      if (rotates(l)) {
        rotate(dq, config.numAttentionHeads(), -1);
        rotate(dk, config.numKeyValueHeads(), -1);
      }
      double[] dAttentionInput =
          sum(
              linearBackward(dq, a.attentionInput, name + "self_attn.q_proj.weight"),
              sum(
                  linearBackward(dk, a.attentionInput, name + "self_attn.k_proj.weight"),
                  linearBackward(dv, a.attentionInput, name + "self_attn.v_proj.weight")));
      return sum(
          dMiddle, rmsNormBackward(dAttentionInput, a.input, name + "input_layernorm.weight"));
    }

    /** Rotates pairs (i, i + headDim/2) by position * theta^(-2i/headDim), in place. */
    private void rotate(double[] x, int heads, int direction) {
      int dim = config.headDim();
      int half = dim / 2;
      for (int t = 0; t < rows; t++) {
        for (int head = 0; head < heads; head++) {
          int base = (t * heads + head) * dim;
          for (int i = 0; i < half; i++) {
            double angle = direction * t * Math.pow(config.ropeTheta(), -2.0 * i / dim);
            double first = x[base + i];
            double second = x[base + i + half];
            x[base + i] = first * Math.cos(angle) - second * Math.sin(angle);
            x[base + i + half] = second * Math.cos(angle) + first * Math.sin(angle);
          }
        }
      }
    }

    private boolean sees(int query, int key) {
      return key <= query && document[key] == document[query];
    }

    private void attend(Activations a) {
      int heads = config.numAttentionHeads();
      int kvHeads = config.numKeyValueHeads();
      int dim = config.headDim();
      double scale = 1 / Math.sqrt(dim);
      a.probabilities = new double[heads * rows * rows];
      a.attended = new double[a.q.length];
      for (int head = 0; head < heads; head++) {
        int kvHead = head / (heads / kvHeads);
        for (int t = 0; t < rows; t++) {
          int p = (head * rows + t) * rows;
          double total = 0;
          double max = Double.NEGATIVE_INFINITY;
          for (int s = 0; s <= t; s++) {
            if (sees(t, s)) {
              a.probabilities[p + s] =
                  scale * dot(a.q, (t * heads + head) * dim, a.k, (s * kvHeads + kvHead) * dim);
              max = Math.max(max, a.probabilities[p + s]);
            }
          }
          for (int s = 0; s <= t; s++) {
            if (sees(t, s)) {
              a.probabilities[p + s] = Math.exp(a.probabilities[p + s] - max);
              total += a.probabilities[p + s];
            }
          }
          for (int s = 0; s <= t; s++) {
            a.probabilities[p + s] /= total;
            for (int d = 0; d < dim; d++) {
              a.attended[(t * heads + head) * dim + d] +=
                  a.probabilities[p + s] * a.v[(s * kvHeads + kvHead) * dim + d];
            }
          }
        }
      }
    }

    private void attendBackward(
        Activations a, double[] dAttended, double[] dq, double[] dk, double[] dv) {
      int heads = config.numAttentionHeads();
      int kvHeads = config.numKeyValueHeads();
      int dim = config.headDim();
      double scale = 1 / Math.sqrt(dim);
      for (int head = 0; head < heads; head++) {
        int kvHead = head / (heads / kvHeads);
        for (int t = 0; t < rows; t++) {
          int p = (head * rows + t) * rows;
          int query = (t * heads + head) * dim;
          double weighted = 0; // sum over s of p * dp, which the softmax subtracts
          for (int s = 0; s <= t; s++) {
            int key = (s * kvHeads + kvHead) * dim;
            weighted += a.probabilities[p + s] * dot(dAttended, query, a.v, key);
          }
          for (int s = 0; s <= t; s++) {
            int key = (s * kvHeads + kvHead) * dim;
            double probability = a.probabilities[p + s];
            double dScore = scale * probability * (dot(dAttended, query, a.v, key) - weighted);
            for (int d = 0; d < dim; d++) {
              dq[query + d] += dScore * a.k[key + d];
              dk[key + d] += dScore * a.q[query + d];
              dv[key + d] += probability * dAttended[query + d];
            }
          }
        }
      }
    }

    private double dot(double[] a, int aFrom, double[] b, int bFrom) {
      double sum = 0;
      for (int d = 0; d < config.headDim(); d++) {
        sum += a[aFrom + d] * b[bFrom + d];
      }
      return sum;
    }

    private double rootMeanSquareInverse(double[] x, int row) {
      int hidden = config.hiddenSize();
      double squares = 0;
      for (int h = 0; h < hidden; h++) {
        squares += x[row * hidden + h] * x[row * hidden + h];
      }
      return 1 / Math.sqrt(squares / hidden + config.rmsNormEps());
    }

    private double[] rmsNorm(double[] x, double[] weight) {
      double[] y = new double[x.length];
      for (int t = 0; t < rows; t++) {
        double inverse = rootMeanSquareInverse(x, t);
        for (int h = 0; h < weight.length; h++) {
          y[t * weight.length + h] = x[t * weight.length + h] * inverse * weight[h];
        }
      }
      return y;
    }

    private double[] rmsNormBackward(double[] dy, double[] x, String name) {
      double[] weight = weight(name);
      double[] dWeight = gradients.get(name);
      int hidden = weight.length;
      double[] dx = new double[x.length];
      for (int t = 0; t < rows; t++) {
        double inverse = rootMeanSquareInverse(x, t);
        double projection = 0;
        for (int h = 0; h < hidden; h++) {
          double normed = x[t * hidden + h] * inverse;
          dWeight[h] += dy[t * hidden + h] * normed;
          projection += dy[t * hidden + h] * weight[h] * normed;
        }
        for (int h = 0; h < hidden; h++) {
          double normed = x[t * hidden + h] * inverse;
          dx[t * hidden + h] =
              inverse * (dy[t * hidden + h] * weight[h] - normed * projection / hidden);
        }
      }
      return dx;
    }

    private double[] weight(String name) {
      return parameters.get(name);
    }

    /** y[rows, out] = x[rows, in] W[out, in]^T. */
    private double[] linear(double[] x, String name) {
      double[] w = weight(name);
      int in = x.length / rows;
      int out = w.length / in;
      double[] y = new double[rows * out];
      for (int t = 0; t < rows; t++) {
        for (int o = 0; o < out; o++) {
          for (int i = 0; i < in; i++) {
            y[t * out + o] += x[t * in + i] * w[o * in + i];
          }
        }
      }
      return y;
    }

    /** Returns dx = dy W and adds dy^T x to the gradient of W. */
    private double[] linearBackward(double[] dy, double[] x, String name) {
      double[] w = weight(name);
      double[] dw = gradients.get(name);
      int in = x.length / rows;
      int out = w.length / in;
      double[] dx = new double[x.length];
      for (int t = 0; t < rows; t++) {
        for (int o = 0; o < out; o++) {
          for (int i = 0; i < in; i++) {
            dx[t * in + i] += dy[t * out + o] * w[o * in + i];
            dw[o * in + i] += dy[t * out + o] * x[t * in + i];
          }
        }
      }
      return dx;
    }
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  private static double[] sum(double[] a, double[] b) {
    double[] sum = new double[a.length];
    for (int i = 0; i < a.length; i++) {
      sum[i] = a[i] + b[i];
    }
    return sum;
  }
}
