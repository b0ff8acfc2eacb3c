package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.function.Function;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.cuda.CudaArrayKernels;
import org.pretrain4j.trainer.cuda.CudaDevice;
import org.pretrain4j.trainer.cuda.CudaKernels;
import org.pretrain4j.trainer.cuda.DeviceMatrix;
import org.pretrain4j.trainer.cuda.GpuDriver;
import org.pretrain4j.trainer.cuda.KernelLauncher;
import org.pretrain4j.trainer.kernels.RotaryAngles;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.MicroBatch;
import org.pretrain4j.trainer.model.ModelConfig;

/**
 * On a GPU, by kernels on its default stream, where libtorch's operators are, too: calls follow
 * each other there without the host. It waits in {@link #takeLoss}, and where {@link BatchStaging}
 * has it two micro-batches ahead of the GPU.
 */
final class CudaOperators implements FusedOperators {
  private final NDManager manager;
  private final ModelConfig config;
  private final GpuDriver gpu;
  private final CudaKernels kernels;
  private final CudaArrayKernels arrays;
  private final BatchStaging batch;
  private final DocumentAttention attention;
  private final GradientProducts products;
  private final Tensor cosines;
  private final Tensor sines;
  private final Tensor normPartials;
  private final Tensor lossSum;
  private Tensor losses;

  /**
   * @param manager of the GPU; owns scratch memory
   * @param sequenceLength longest row
   * @param attention makes it
   */
  CudaOperators(
      NDManager manager,
      ModelConfig config,
      int sequenceLength,
      GpuDriver gpu,
      KernelLauncher launcher,
      GradientProducts products,
      Function<BatchStaging, DocumentAttention> attention) {
    this.manager = manager;
    this.config = config;
    this.gpu = gpu;
    this.kernels = new CudaKernels(launcher);
    this.arrays = new CudaArrayKernels(launcher);
    this.batch = new BatchStaging(manager, gpu, config.vocabSize());
    this.attention = attention.apply(batch);
    this.products = products;
    RotaryAngles angles = RotaryAngles.of(sequenceLength, config.headDim(), config.ropeTheta());
    long half = config.headDim() / 2;
    this.cosines = Tensor.of(manager, angles.cosines(), sequenceLength, half);
    this.sines = Tensor.of(manager, angles.sines(), sequenceLength, half);
    this.normPartials =
        Tensor.empty(
            manager, ScalarType.FLOAT32, CudaKernels.rmsNormPartialElements(config.hiddenSize()));
    this.lossSum = Tensor.zeros(manager, ScalarType.FLOAT64, 1);
  }

  /**
   * With flash attention and cuBLAS.
   *
   * @throws UserException for a type or a head that flash attention does not know
   */
  static CudaOperators of(
      NDManager manager,
      ModelConfig config,
      ScalarType type,
      int sequenceLength,
      CudaDevice device) {
    if (type != ScalarType.BFLOAT16 || config.headDim() % 8 != 0 || config.headDim() > 256) {
      throw new UserException(
          "fused kernels on a GPU need bf16 and heads of a multiple of 8 elements, at most 256,"
              + " not %s and %d: take training.kernels: composed"
                  .formatted(type == ScalarType.BFLOAT16 ? "bf16" : "fp32", config.headDim()));
    }
    return new CudaOperators(
        manager,
        config,
        sequenceLength,
        device.driver(),
        device.launcher(),
        new CublasProducts(device.gemm(), type),
        staging -> new VarlenAttention(config, staging));
  }

  @Override
  public void begin(MicroBatch microBatch) {
    batch.begin(microBatch);
  }

  @Override
  public void embed(Activation table, Activation output) {
    kernels.embedding(matrix(table), batch.tokens(), matrix(output));
  }

  @Override
  public void embedBackward(Activation gradient, Tensor sum) {
    kernels.embeddingGradient(matrix(gradient), batch.groups(), DeviceMatrix.of(sum));
  }

  @Override
  public void norm(Activation x, Activation weight, Activation y, Tensor scale) {
    kernels.rmsNorm(matrix(x), matrix(weight), matrix(y), scale.address(), config.rmsNormEps());
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
    kernels.rmsNormGradient(
        matrix(dy),
        Optional.ofNullable(past).map(CudaOperators::matrix),
        matrix(x),
        matrix(weight),
        scale.address(),
        matrix(dx),
        normPartials.address(),
        weightGradient.address());
  }

  @Override
  public void rotate(Activation qkv, int heads, int sequenceLength) {
    rotary(qkv, heads, sequenceLength, false);
  }

  @Override
  public void rotateBack(Activation gradient, int heads, int sequenceLength) {
    rotary(gradient, heads, sequenceLength, true);
  }

  private void rotary(Activation qkv, int heads, int sequenceLength, boolean back) {
    kernels.rotary(
        matrix(qkv),
        cosines.address(),
        sines.address(),
        sequenceLength,
        heads,
        config.headDim(),
        back);
  }

  @Override
  public void swiGlu(Activation gateUp, Activation activated) {
    kernels.swiGlu(matrix(gateUp), matrix(activated));
  }

  @Override
  public void swiGluBackward(Activation gradient, Activation gateUp) {
    kernels.swiGluGradient(matrix(gradient), matrix(gateUp));
  }

  @Override
  public void crossEntropy(Activation logits, int start) {
    int rows = logits.rows();
    if (losses == null || losses.elements() < rows) {
      if (losses != null) {
        losses.close();
      }
      losses = Tensor.empty(manager, ScalarType.FLOAT64, rows);
    }
    kernels.crossEntropy(matrix(logits), batch.targets(start), losses.address(), 1);
    arrays.sum(losses.address(), rows, lossSum.address());
  }

  @Override
  public double takeLoss() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment sum = arena.allocate(ValueLayout.JAVA_DOUBLE);
      gpu.use();
      gpu.copyFromGpu(lossSum.address(), sum);
      lossSum.zero();
      return sum.get(ValueLayout.JAVA_DOUBLE, 0);
    }
  }

  @Override
  public DocumentAttention attention() {
    return attention;
  }

  @Override
  public GradientProducts products() {
    return products;
  }

  private static DeviceMatrix matrix(Activation activation) {
    return DeviceMatrix.of(activation.tensor());
  }

  @Override
  public void close() {
    batch.close();
  }
}
