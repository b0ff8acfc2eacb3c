package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.util.Set;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.FusedOperator;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;

/** Takes each operator from one of two: the device's own, or the composed ones. */
final class ChosenOperators implements FusedOperators {
  private final FusedOperators fused;
  private final FusedOperators composed;
  private final FusedOperators embedding;
  private final FusedOperators norm;
  private final FusedOperators rotary;
  private final FusedOperators swiGlu;
  private final FusedOperators attention;
  private final FusedOperators products;
  private final FusedOperators crossEntropy;

  /**
   * @param fused closed with this one, as is composed
   * @param switchedOff what composed does in the place of fused
   */
  ChosenOperators(FusedOperators fused, FusedOperators composed, Set<FusedOperator> switchedOff) {
    this.fused = fused;
    this.composed = composed;
    embedding = switchedOff.contains(FusedOperator.EMBEDDING) ? composed : fused;
    norm = switchedOff.contains(FusedOperator.NORM) ? composed : fused;
    rotary = switchedOff.contains(FusedOperator.ROTARY) ? composed : fused;
    swiGlu = switchedOff.contains(FusedOperator.SWIGLU) ? composed : fused;
    attention = switchedOff.contains(FusedOperator.ATTENTION) ? composed : fused;
    products = switchedOff.contains(FusedOperator.PRODUCTS) ? composed : fused;
    crossEntropy = switchedOff.contains(FusedOperator.CROSS_ENTROPY) ? composed : fused;
  }

  /**
   * The device's own operators, but for those that are switched off.
   *
   * @param manager of the device; owns what the composed ones keep
   * @param sequenceLength longest row
   */
  static FusedOperators of(
      FusedOperators fused,
      Set<FusedOperator> switchedOff,
      NDManager manager,
      ModelConfig config,
      ScalarType type,
      int sequenceLength) {
    if (switchedOff.isEmpty()) {
      return fused;
    }
    return new ChosenOperators(
        fused, new ComposedOperators(manager, config, type, sequenceLength), switchedOff);
  }

  @Override
  public void begin(MicroBatch batch) {
    fused.begin(batch);
    composed.begin(batch);
  }

  @Override
  public void embed(Activation table, Activation output) {
    embedding.embed(table, output);
  }

  @Override
  public void embedBackward(Activation gradient, Tensor sum) {
    embedding.embedBackward(gradient, sum);
  }

  @Override
  public void norm(Activation x, Activation weight, Activation y, Tensor scale) {
    norm.norm(x, weight, y, scale);
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
    norm.normBackward(dy, past, x, weight, scale, dx, weightGradient);
  }

  @Override
  public void rotate(Activation qkv, int heads, int sequenceLength) {
    rotary.rotate(qkv, heads, sequenceLength);
  }

  @Override
  public void rotateBack(Activation gradient, int heads, int sequenceLength) {
    rotary.rotateBack(gradient, heads, sequenceLength);
  }

  @Override
  public void swiGlu(Activation gateUp, Activation activated) {
    swiGlu.swiGlu(gateUp, activated);
  }

  @Override
  public void swiGluBackward(Activation gradient, Activation gateUp) {
    swiGlu.swiGluBackward(gradient, gateUp);
  }

  @Override
  public void crossEntropy(Activation logits, int start) {
    crossEntropy.crossEntropy(logits, start);
  }

  @Override
  public double takeLoss() {
    return crossEntropy.takeLoss();
  }

  @Override
  public DocumentAttention attention() {
    return attention.attention();
  }

  @Override
  public GradientProducts products() {
    return products.products();
  }

  @Override
  public void close() {
    composed.close();
    fused.close();
  }
}
