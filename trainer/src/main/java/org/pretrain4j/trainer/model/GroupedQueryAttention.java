package org.pretrain4j.trainer.model;

import ai.djl.ndarray.NDList;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import java.util.List;
import org.pretrain4j.trainer.libtorch.Operators;
import org.pretrain4j.trainer.libtorch.Tensor;

/**
 * Causal self-attention with grouped key and value heads, rotary positions unless the layer has
 * none (NoPE), and no look across documents.
 *
 * <p>Inputs: hidden states {@code [batch, sequence, hidden]}, then what {@link Context} adds.
 */
final class GroupedQueryAttention extends ModelBlock {
  private final ModelConfig config;
  private final boolean rotates;
  private final Parameter query;
  private final Parameter key;
  private final Parameter value;
  private final Parameter output;

  GroupedQueryAttention(ModelConfig config, int layer) {
    this.config = config;
    this.rotates = ModelLayout.rotates(config, layer);
    String prefix = ModelLayout.layer(layer) + "self_attn.";
    long queries = (long) config.numAttentionHeads() * config.headDim();
    long keys = (long) config.numKeyValueHeads() * config.headDim();
    this.query = weight(prefix + "q_proj.weight", queries, config.hiddenSize());
    this.key = weight(prefix + "k_proj.weight", keys, config.hiddenSize());
    this.value = weight(prefix + "v_proj.weight", keys, config.hiddenSize());
    this.output = weight(prefix + "o_proj.weight", config.hiddenSize(), queries);
  }

  @Override
  NDList compute(ParameterStore store, NDList inputs, boolean training) {
    Context context = Context.of(inputs);
    Tensor x = (Tensor) inputs.head();
    Tensor q = heads(x, value(store, query, x, training), config.numAttentionHeads());
    Tensor k = heads(x, value(store, key, x, training), config.numKeyValueHeads());
    Tensor v = heads(x, value(store, value, x, training), config.numKeyValueHeads());
    if (rotates) {
      q = rotate(q, context);
      k = rotate(k, context);
    }
    // The kernel's own grouping leaves the fast path on CPUs, so the heads are repeated.
    long groups = config.numAttentionHeads() / config.numKeyValueHeads();
    k = Operators.repeatInterleave(k, groups, 1);
    v = Operators.repeatInterleave(v, groups, 1);
    Tensor mask = context.mask();
    Tensor mixed =
        Operators.attention(q, k, v, mask, mask == null, Math.pow(config.headDim(), -0.5));
    Tensor joined =
        Operators.reshape(
            Operators.transpose(mixed, 1, 2), x.size(0), x.size(1), output.getShape().get(1));
    return new NDList(Operators.linear(joined, value(store, output, x, training)));
  }

  /** {@code [batch, sequence, hidden] -> [batch, heads, sequence, headDim]}. */
  private Tensor heads(Tensor x, Tensor weight, long heads) {
    Tensor flat = Operators.linear(x, weight);
    return Operators.transpose(
        Operators.reshape(flat, x.size(0), x.size(1), heads, config.headDim()), 1, 2);
  }

  /** Rotates the pairs (i, i + headDim/2), the half-split convention. */
  private Tensor rotate(Tensor x, Context context) {
    long half = config.headDim() / 2;
    Tensor turned =
        Operators.concat(
            List.of(
                Operators.negate(Operators.slice(x, 3, half, 2 * half)),
                Operators.slice(x, 3, 0, half)),
            3);
    return Operators.add(Operators.mul(x, context.cos()), Operators.mul(turned, context.sin()));
  }
}
