package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.fused.Weights.Weight;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.GradientSink;
import org.pretrain4j.trainer.model.ModelConfig;

/** Rates of the fused pass's matrix products, each alone, by all that can compute it here. */
public final class ProductRates {
  private final NDManager manager;
  private final ModelConfig config;
  private final Map<String, GradientProducts> engines = new LinkedHashMap<>();

  /**
   * A product's rates.
   *
   * @param name of the weight, and the product's part in the pass
   * @param flops operations
   * @param bytes of factors and result, each once
   * @param seconds of the fastest of some, by what computes it: libtorch, mkl, tiles
   */
  public record Rate(String name, double flops, long bytes, Map<String, Double> seconds) {}

  /**
   * @param manager of the CPU
   */
  public ProductRates(NDManager manager, ModelConfig config, WorkerPool pool) {
    ScalarType type = ScalarType.BFLOAT16;
    this.manager = manager;
    this.config = config;
    Optional<MklGemm> gemm = MklGemm.of(type);
    Optional<TileGemm> tiles = TileGemm.find();
    engines.put("libtorch", new TensorProducts(manager, type));
    gemm.ifPresent(found -> engines.put("mkl", new MklProducts(found)));
    if (gemm.isPresent() && tiles.isPresent()) {
      engines.put("tiles", GradientProducts.of(gemm, tiles, manager, type, pool));
    }
  }

  /**
   * Measures the products of a layer, and of the head.
   *
   * @param tokens rows of a micro-batch
   * @param chunk rows of the head's logits
   */
  public List<Rate> measure(long tokens, long chunk, int repetitions) {
    long hidden = config.hiddenSize();
    long width = (long) config.numAttentionHeads() * config.headDim();
    long keys = (long) config.numKeyValueHeads() * config.headDim();
    List<Rate> rates = new ArrayList<>();
    add(rates, "qkv", tokens, width + 2 * keys, hidden, repetitions);
    add(rates, "output", tokens, hidden, width, repetitions);
    add(rates, "gate, up", tokens, 2L * config.intermediateSize(), hidden, repetitions);
    add(rates, "down", tokens, hidden, config.intermediateSize(), repetitions);
    add(rates, "head", chunk, config.vocabSize(), hidden, repetitions);
    return rates;
  }

  private void add(List<Rate> rates, String name, long tokens, long out, long in, int repetitions) {
    try (NDManager scope = manager.newSubManager()) {
      FlatLayout.Entry entry = new FlatLayout.Entry(name, List.of(out, in), 0);
      Weight weight = new Weight(List.of(entry), filled(scope, out, in));
      Activation x = filled(scope, tokens, in);
      Activation y = filled(scope, tokens, out);
      Activation rounded = filled(scope, tokens, in);
      Activation precise = Activation.allocate(scope, ScalarType.FLOAT32, tokens, in);
      Tensor sum = Tensor.zeros(scope, ScalarType.FLOAT32, out, in);
      GradientSink sink = new OneSum(scope, sum);
      long factors = Short.BYTES * (tokens * in + tokens * out);
      double flops = 2.0 * tokens * out * in;
      long half = Short.BYTES * out * in;
      rates.add(
          new Rate(
              name + " forward",
              flops,
              factors + half,
              seconds(repetitions, products -> products.forward(weight, x, y))));
      rates.add(
          new Rate(
              name + " of input",
              flops,
              factors + half,
              seconds(
                  repetitions,
                  products -> {
                    boolean asFloat = products.inputGradientType() == ScalarType.FLOAT32;
                    products.ofInput(weight, y, asFloat ? precise : rounded);
                  })));
      rates.add(
          new Rate(
              name + " of weight",
              flops,
              factors + 2 * Float.BYTES * out * in,
              seconds(repetitions, products -> products.ofWeight(weight, y, x, sink))));
    }
  }

  @FunctionalInterface
  private interface Product {
    void run(GradientProducts products);
  }

  /** The fastest of some after one that does not count, all engines in turns. */
  private Map<String, Double> seconds(int repetitions, Product product) {
    Map<String, Double> best = new LinkedHashMap<>();
    for (int i = -1; i < repetitions; i++) {
      for (Map.Entry<String, GradientProducts> engine : engines.entrySet()) {
        long start = System.nanoTime();
        product.run(engine.getValue());
        double seconds = (System.nanoTime() - start) * 1e-9;
        if (i >= 0) {
          best.merge(engine.getKey(), seconds, Math::min);
        }
      }
    }
    return best;
  }

  private static Activation filled(NDManager scope, long rows, long columns) {
    Activation activation = Activation.allocate(scope, ScalarType.BFLOAT16, rows, columns);
    Tensor small = Tensor.of(scope, new float[] {0.01f}, 1);
    activation.tensor().copyFrom(small);
    small.close();
    return activation;
  }

  /** One sum for every weight. */
  private record OneSum(NDManager manager, Tensor sum) implements GradientSink {
    @Override
    public void add(FlatLayout.Entry parameter, Tensor gradient) {
      sum.addi(gradient);
    }

    @Override
    public Sum sumOf(FlatLayout.Entry parameter) {
      return new Sum(sum.alias(manager), false);
    }

    @Override
    public void partDone(int part) {
      // Nothing waits for it.
    }
  }
}
