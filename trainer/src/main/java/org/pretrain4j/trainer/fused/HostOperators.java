package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Arrays;
import java.util.Optional;
import org.pretrain4j.trainer.kernels.CrossEntropy;
import org.pretrain4j.trainer.kernels.Embedding;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.RmsNorm;
import org.pretrain4j.trainer.kernels.RotaryEmbedding;
import org.pretrain4j.trainer.kernels.SwiGlu;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;

/** On the CPU, by vector code; done when a call returns. */
final class HostOperators implements FusedOperators {
  private final WorkerPool pool;
  private final RmsNorm norm;
  private final RotaryEmbedding rotary;
  private final DocumentAttention attention;
  private final GradientProducts products;
  private int[] inputs = {};
  private int[] targets = {};
  private double earlier;
  private double loss;

  /**
   * @param manager of the CPU; owns scratch memory
   * @param sequenceLength longest row
   * @param pool not closed here
   * @param gemm what the backward pass multiplies with, if not with libtorch's operators
   * @param tiles what bfloat16 is multiplied with where also gemm is given
   */
  HostOperators(
      NDManager manager,
      ModelConfig config,
      ScalarType type,
      int sequenceLength,
      WorkerPool pool,
      Optional<MklGemm> gemm,
      Optional<TileGemm> tiles) {
    this.pool = pool;
    this.norm = new RmsNorm(pool, config.hiddenSize(), config.rmsNormEps());
    this.rotary = new RotaryEmbedding(pool, sequenceLength, config.headDim(), config.ropeTheta());
    Optional<TileGemm> forHeads =
        tiles
            .filter(found -> type == ScalarType.BFLOAT16)
            .filter(found -> AttentionHead.fits(config.headDim()));
    this.attention =
        new HostAttention(
            config,
            forHeads.map(found -> new TiledAttention(found, manager, config, sequenceLength, pool)),
            forHeads
                .<AttentionGradient>map(
                    found ->
                        new TiledAttentionGradient(found, manager, config, sequenceLength, pool))
                .or(() -> gemm.map(f -> new MklAttentionGradient(manager, config, type, f, pool))));
    this.products = GradientProducts.of(gemm, tiles, manager, type, pool);
  }

  @Override
  public void begin(MicroBatch batch) {
    earlier += loss;
    loss = 0;
    inputs = batch.flatInputs();
    targets = batch.flatTargets();
  }

  @Override
  public void embed(Activation table, Activation output) {
    Embedding.forward(pool, table.matrix(), inputs, output.matrix());
  }

  @Override
  public void embedBackward(Activation gradient, Tensor sum) {
    int rows = Math.toIntExact(sum.size(0));
    int columns = Math.toIntExact(sum.size(1));
    Matrix target = Matrix.float32(sum.segment(), rows, columns);
    Embedding.backward(pool, gradient.matrix(), inputs, target);
  }

  @Override
  public void norm(Activation x, Activation weight, Activation y, Tensor scale) {
    norm.forward(x.matrix(), weight.matrix(), y.matrix(), scale.segment());
  }

  @Override
  public void normBackward(
      Activation dy,
      Activation past,
      Activation x,
      Activation weight,
      Tensor scale,
      Activation dx,
      Tensor weightGradient) {
    if (past == null) {
      norm.backward(
          dy.matrix(),
          x.matrix(),
          weight.matrix(),
          scale.segment(),
          dx.matrix(),
          weightGradient.segment());
    } else {
      norm.addBackward(
          dy.matrix(),
          past.matrix(),
          x.matrix(),
          weight.matrix(),
          scale.segment(),
          dx.matrix(),
          weightGradient.segment());
    }
  }

  @Override
  public void rotate(Activation qkv, int heads, int sequenceLength) {
    rotary.forward(qkv.matrix(), heads, sequenceLength);
  }

  @Override
  public void rotateBack(Activation gradient, int heads, int sequenceLength) {
    rotary.backward(gradient.matrix(), heads, sequenceLength);
  }

  @Override
  public void swiGlu(Activation gateUp, Activation activated) {
    SwiGlu.forward(pool, gateUp.matrix(), activated.matrix());
  }

  @Override
  public void swiGluBackward(Activation gradient, Activation gateUp) {
    SwiGlu.backward(pool, gradient.matrix(), gateUp.matrix(), gateUp.matrix());
  }

  @Override
  public void swiGluBackward(Activation gradient, Activation gateUp, Activation activated) {
    SwiGlu.backward(pool, gradient.matrix(), gateUp.matrix(), gateUp.matrix(), activated.matrix());
  }

  @Override
  public void crossEntropy(Activation logits, int start) {
    int[] wanted = Arrays.copyOfRange(targets, start, start + logits.matrix().rows());
    loss += CrossEntropy.forwardBackward(pool, logits.matrix(), wanted, 1, logits.matrix());
  }

  @Override
  public double takeLoss() {
    double taken = earlier + loss;
    earlier = 0;
    loss = 0;
    return taken;
  }

  @Override
  public DocumentAttention attention() {
    return attention;
  }

  @Override
  public GradientProducts products() {
    return products;
  }

  @Override
  public void close() {}
}
