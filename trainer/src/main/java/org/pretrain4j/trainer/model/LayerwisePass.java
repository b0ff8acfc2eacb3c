package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.GradientMode;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * The pass composed of libtorch's own operators and its automatic differentiation, one layer at a
 * time: each layer's graph starts at a detached input and is seeded with the gradient from above,
 * so a layer's gradients are known, and can travel, while the layers below still compute.
 *
 * <p>The head works on chunks of tokens, so the logits of a whole micro-batch never exist.
 */
public final class LayerwisePass implements TrainingPass {
  private static final int HEAD_CHUNK_TOKENS = 1024;

  private final SmolLm3 model;
  private final ActivationCheckpointing checkpointing;
  private final ModelConfig config;
  private final Map<String, FlatLayout.Entry> entries;
  private final ParameterStorage storage;
  private final NDManager manager;
  private final ContextFactory contexts;
  private final PhaseClock clock;
  private double losses;

  /**
   * @param parent on the device to compute on; closed with this pass, not before
   * @param checkpointing what of the activations is kept
   * @param type what the model computes in, the storage's type
   * @param sequenceLength longest row
   * @param timeline of the device; closed with this pass
   */
  public LayerwisePass(
      NDManager parent,
      ModelConfig config,
      ParameterStorage storage,
      ActivationCheckpointing checkpointing,
      ScalarType type,
      int sequenceLength,
      Timeline timeline) {
    this.clock = new PhaseClock(timeline);
    this.config = config;
    this.model = new SmolLm3(config);
    this.entries = LeafParameters.byName(ModelLayout.of(config).parameters());
    this.storage = storage;
    this.checkpointing = checkpointing;
    this.manager = parent.newSubManager();
    this.contexts = new ContextFactory(manager, config, type, sequenceLength);
  }

  @Override
  public void run(MicroBatch batch, GradientSink sink) {
    clock.start();
    try (NDManager scope = manager.newSubManager()) {
      Context context = contexts.of(scope, batch);
      Tensor indices = Batches.inputs(scope, batch);
      Recorded embedding =
          new Recorded(
              scope,
              (parameters, inputs) -> model.embedding().compute(parameters, inputs, true),
              new NDList(indices));
      Deque<List<Segment>> layers = new ArrayDeque<>();
      Tensor hidden = embedding.output();
      clock.lap(Phase.EMBEDDING);
      for (DecoderLayer layer : model.layers()) {
        List<Segment> segments = forward(scope, layer, context, hidden);
        layers.push(segments);
        hidden = segments.getLast().output();
      }
      clock.lap(Phase.FORWARD);
      Tensor gradient = Tensor.empty(scope, hidden.type(), hidden.getShape().getShape());
      losses += head(scope, hidden, batch, gradient, sink);
      int part = config.numHiddenLayers() + 1;
      sink.partDone(part);
      clock.lap(Phase.HEAD);
      while (!layers.isEmpty()) {
        for (Segment segment : layers.pop().reversed()) {
          gradient = segment.backward(gradient, sink);
        }
        sink.partDone(--part);
      }
      clock.lap(Phase.BACKWARD);
      embedding.backward(gradient, sink);
      sink.partDone(0);
      clock.lap(Phase.EMBEDDING);
    }
  }

  @Override
  public double takeLoss() {
    double taken = losses;
    losses = 0;
    return taken;
  }

  private List<Segment> forward(
      NDManager scope, DecoderLayer layer, Context context, Tensor hidden) {
    Computation whole = (parameters, inputs) -> layer.compute(parameters, inputs, true);
    Computation attention = (parameters, inputs) -> layer.attend(parameters, inputs, true);
    Computation feedForward = (parameters, inputs) -> layer.feedForward(parameters, inputs, true);
    return switch (checkpointing) {
      case NONE -> List.of(new Recorded(scope, whole, context.with(hidden)));
      case SELECTED -> {
        Segment first = new Recorded(scope, attention, context.with(hidden));
        yield List.of(first, new Repeated(scope, feedForward, new NDList(first.output())));
      }
      case FULL -> List.of(new Repeated(scope, whole, context.with(hidden)));
    };
  }

  /**
   * Loss and gradients of the head, chunk by chunk.
   *
   * @param hidden {@code [batch, sequence, hidden]}
   * @param gradient takes the gradient with respect to {@code hidden}
   */
  private double head(
      NDManager scope, Tensor hidden, MicroBatch batch, Tensor gradient, GradientSink sink) {
    long tokens = hidden.elements() / config.hiddenSize();
    int[] targets = batch.flatTargets();
    double loss = 0;
    for (long start = 0; start < tokens; start += HEAD_CHUNK_TOKENS) {
      long end = Math.min(tokens, start + HEAD_CHUNK_TOKENS);
      long[] shape = {end - start, config.hiddenSize()};
      try (NDManager chunk = scope.newSubManager()) {
        LeafParameters parameters = new LeafParameters(chunk, storage, entries);
        Tensor x = hidden.view(chunk, start * config.hiddenSize(), shape).requireGradient();
        Tensor wanted = Batches.targets(chunk, targets, (int) start, (int) end);
        Tensor sum =
            GradientMode.record(
                () -> {
                  Tensor logits =
                      (Tensor) model.head().compute(parameters, new NDList(x), true).head();
                  return Operators.crossEntropySum(
                      Operators.to(logits, ScalarType.FLOAT32), wanted, MicroBatch.MASKED);
                });
        loss += Operators.toHostFloat(sum);
        Tensor one = Tensor.of(chunk, new float[] {1});
        sum.backward(Operators.reshape(one));
        gradient.view(chunk, start * config.hiddenSize(), shape).copyFrom(x.gradient());
        parameters.drainInto(sink);
      }
    }
    return loss;
  }

  @Override
  public PhaseClock clock() {
    return clock;
  }

  @Override
  public void close() {
    clock.close();
    manager.close();
  }

  /** A block or a part of one: from hidden states, and what else it reads, to hidden states. */
  @FunctionalInterface
  private interface Computation {
    NDList of(LeafParameters parameters, NDList inputs);
  }

  /** A computation whose backward pass is to come. */
  private sealed interface Segment {
    Tensor output();

    /** Returns the gradient with respect to the input, or null for one that has none. */
    Tensor backward(Tensor gradient, GradientSink sink);
  }

  /** Keeps its inputs, and computes again in the backward pass. */
  private final class Repeated implements Segment {
    private final NDManager scope;
    private final Computation computation;
    private final NDList inputs;
    private final Tensor output;

    Repeated(NDManager scope, Computation computation, NDList inputs) {
      this.scope = scope;
      this.computation = computation;
      this.inputs = inputs;
      try (NDManager between = scope.newSubManager()) {
        LeafParameters parameters = new LeafParameters(between, storage, entries);
        NDList local = new NDList(((Tensor) inputs.head()).alias(between));
        local.addAll(inputs.subNDList(1));
        this.output = ((Tensor) computation.of(parameters, local).head()).alias(scope);
      }
    }

    @Override
    public Tensor output() {
      return output;
    }

    @Override
    public Tensor backward(Tensor gradient, GradientSink sink) {
      // Nothing reads it any more.
      output.close();
      return new Recorded(scope, computation, inputs).backward(gradient, sink);
    }
  }

  /** Keeps the graph of automatic differentiation. */
  private final class Recorded implements Segment {
    private final NDManager kept;
    private final LeafParameters parameters;
    private final Tensor input;
    private final Tensor result;
    private final Tensor output;

    Recorded(NDManager scope, Computation computation, NDList inputs) {
      this.kept = scope.newSubManager();
      this.parameters = new LeafParameters(kept, storage, entries);
      Tensor first = (Tensor) inputs.head();
      boolean differentiable = first.type() != ScalarType.INT64;
      this.input = first.alias(kept);
      if (differentiable) {
        input.requireGradient();
      }
      // The handles of what lies between are closed at once: the graph keeps what it needs.
      try (NDManager between = kept.newSubManager()) {
        NDList local = new NDList(input.alias(between));
        local.addAll(inputs.subNDList(1));
        this.result =
            GradientMode.record(
                () -> ((Tensor) computation.of(parameters, local).head()).alias(kept));
      }
      this.output = result.view(kept, 0, result.getShape().getShape());
    }

    @Override
    public Tensor output() {
      return output;
    }

    @Override
    public Tensor backward(Tensor gradient, GradientSink sink) {
      result.backward(gradient);
      gradient.close();
      parameters.drainInto(sink);
      Tensor below = null;
      if (input.type() != ScalarType.INT64) {
        below = input.gradient().alias(kept.getParentManager());
      }
      kept.close();
      return below;
    }
  }
}
