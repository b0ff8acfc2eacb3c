package org.pretrain4j.checkpoints.gguf;

import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.tensors.MapTensors;

/** The forward pass of SmolLM3 in float64, written from its description. */
final class ReferenceModel {
  private final ModelArchitecture model;
  private final MapTensors tensors;

  ReferenceModel(ModelArchitecture model, MapTensors tensors) {
    this.model = model;
    this.tensors = tensors;
  }

  /** Logits after each token: [tokens, vocabulary]. */
  double[][] logits(int[] tokens) {
    int hidden = model.hiddenSize();
    float[] embedding = tensors.values(ModelArchitecture.EMBEDDING);
    double[][] x = new double[tokens.length][hidden];
    for (int t = 0; t < tokens.length; t++) {
      for (int i = 0; i < hidden; i++) {
        x[t][i] = embedding[tokens[t] * hidden + i];
      }
    }
    for (int layer = 0; layer < model.numHiddenLayers(); layer++) {
      String prefix = ModelArchitecture.layerPrefix(layer);
      double[][] attended = attention(prefix, norm(x, prefix + "input_layernorm.weight"), layer);
      add(x, attended);
      double[][] normed = norm(x, prefix + "post_attention_layernorm.weight");
      double[][] gate = multiply(normed, prefix + "mlp.gate_proj.weight");
      double[][] up = multiply(normed, prefix + "mlp.up_proj.weight");
      for (int t = 0; t < gate.length; t++) {
        for (int i = 0; i < gate[t].length; i++) {
          gate[t][i] *= up[t][i] / (1 + Math.exp(-gate[t][i]));
        }
      }
      add(x, multiply(gate, prefix + "mlp.down_proj.weight"));
    }
    return multiply(norm(x, ModelArchitecture.FINAL_NORM), ModelArchitecture.EMBEDDING);
  }

  private double[][] attention(String prefix, double[][] x, int layer) {
    int width = model.headDim();
    double[][] q = multiply(x, prefix + "self_attn.q_proj.weight");
    double[][] k = multiply(x, prefix + "self_attn.k_proj.weight");
    double[][] v = multiply(x, prefix + "self_attn.v_proj.weight");
    if ((layer + 1) % 4 != 0) {
      rotate(q);
      rotate(k);
    }
    int group = model.numAttentionHeads() / model.numKeyValueHeads();
    double[][] mixed = new double[x.length][model.numAttentionHeads() * width];
    for (int head = 0; head < model.numAttentionHeads(); head++) {
      int kv = head / group * width;
      for (int t = 0; t < x.length; t++) {
        double[] weights = new double[t + 1];
        double largest = Double.NEGATIVE_INFINITY;
        for (int s = 0; s <= t; s++) {
          for (int i = 0; i < width; i++) {
            weights[s] += q[t][head * width + i] * k[s][kv + i] / Math.sqrt(width);
          }
          largest = Math.max(largest, weights[s]);
        }
        double sum = 0;
        for (int s = 0; s <= t; s++) {
          weights[s] = Math.exp(weights[s] - largest);
          sum += weights[s];
        }
        for (int s = 0; s <= t; s++) {
          for (int i = 0; i < width; i++) {
            mixed[t][head * width + i] += weights[s] / sum * v[s][kv + i];
          }
        }
      }
    }
    return multiply(mixed, prefix + "self_attn.o_proj.weight");
  }

  /** Dimensions i and i + width/2 of a head are a pair. */
  private void rotate(double[][] x) {
    int width = model.headDim();
    for (int t = 0; t < x.length; t++) {
      for (int base = 0; base < x[t].length; base += width) {
        for (int i = 0; i < width / 2; i++) {
          double angle = t * Math.pow(model.ropeTheta(), -2.0 * i / width);
          double first = x[t][base + i];
          double second = x[t][base + i + width / 2];
          x[t][base + i] = first * Math.cos(angle) - second * Math.sin(angle);
          x[t][base + i + width / 2] = second * Math.cos(angle) + first * Math.sin(angle);
        }
      }
    }
  }

  private double[][] norm(double[][] x, String weight) {
    float[] scale = tensors.values(weight);
    double[][] normed = new double[x.length][scale.length];
    for (int t = 0; t < x.length; t++) {
      double squares = 0;
      for (double value : x[t]) {
        squares += value * value;
      }
      for (int i = 0; i < scale.length; i++) {
        normed[t][i] = x[t][i] / Math.sqrt(squares / scale.length + model.rmsNormEps()) * scale[i];
      }
    }
    return normed;
  }

  private double[][] multiply(double[][] x, String weight) {
    float[] matrix = tensors.values(weight);
    int columns = x[0].length;
    double[][] product = new double[x.length][matrix.length / columns];
    for (int t = 0; t < x.length; t++) {
      for (int row = 0; row < product[t].length; row++) {
        double sum = 0;
        for (int i = 0; i < columns; i++) {
          sum += x[t][i] * matrix[row * columns + i];
        }
        product[t][row] = sum;
      }
    }
    return product;
  }

  private static void add(double[][] x, double[][] y) {
    for (int t = 0; t < x.length; t++) {
      for (int i = 0; i < x[t].length; i++) {
        x[t][i] += y[t][i];
      }
    }
  }
}
