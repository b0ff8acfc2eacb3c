package org.pretrain4j.trainer.fused;

import java.util.List;
import org.pretrain4j.trainer.kernels.Matrix;

/** The gradient of causal attention over documents, on the CPU. */
sealed interface AttentionGradient permits MklAttentionGradient, TiledAttentionGradient {

  /**
   * Computes it.
   *
   * @param documents with the logarithms that forward left
   * @param qkv {@code [tokens, (heads + 2 keyValueHeads) * headDim]}
   * @param attended {@code [tokens, heads * headDim]}: what forward gave
   * @param gradient of attended
   * @param qkvGradient of qkv, written
   */
  void run(
      List<TiledAttention.Document> documents,
      Matrix qkv,
      Matrix attended,
      Matrix gradient,
      Matrix qkvGradient);
}
