package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.pretrain4j.trainer.kernels.HeadGradients;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.ModelConfig;

/**
 * The gradient of {@link TiledAttention}: scores and probabilities are computed again from queries,
 * keys and the logarithms of the sums that the forward pass left. Gradients of the keys and values
 * that query heads share are added in the heads' order, whichever thread is the first.
 */
final class TiledAttentionGradient implements AttentionGradient {
  private final TileGemm gemm;
  private final WorkerPool pool;
  private final NDManager manager;
  private final int heads;
  private final int keyValueHeads;
  private final int headDim;
  private final Map<Integer, Sums> sumsOf = new HashMap<>();
  private final ConcurrentLinkedQueue<AttentionHeadGradient> idle = new ConcurrentLinkedQueue<>();

  /** float32 {@code [heads * tokens, headDim]} each, query head by query head. */
  private record Sums(Matrix key, Matrix value) {
    static Sums allocate(NDManager manager, long rows, long headDim) {
      return new Sums(
          Activation.allocate(manager, ScalarType.FLOAT32, rows, headDim).matrix(),
          Activation.allocate(manager, ScalarType.FLOAT32, rows, headDim).matrix());
    }
  }

  /**
   * @param config whose heads fit
   * @param sequenceLength longest document
   */
  TiledAttentionGradient(
      TileGemm gemm, NDManager manager, ModelConfig config, int sequenceLength, WorkerPool pool) {
    this.gemm = gemm;
    this.pool = pool;
    this.manager = manager;
    this.heads = config.numAttentionHeads();
    this.keyValueHeads = config.numKeyValueHeads();
    this.headDim = config.headDim();
    float scale = (float) Math.pow(headDim, -0.5);
    for (int i = 0; i < pool.threads(); i++) {
      idle.add(new AttentionHeadGradient(gemm, manager, headDim, scale, sequenceLength));
    }
  }

  @Override
  public void run(
      List<TiledAttention.Document> documents,
      Matrix qkv,
      Matrix attended,
      Matrix gradient,
      Matrix qkvGradient) {
    long tokens = qkv.rows();
    Sums sums =
        sumsOf.computeIfAbsent(qkv.rows(), rows -> Sums.allocate(manager, tokens * heads, headDim));
    pool.run(
        (long) documents.size() * heads,
        1,
        (item, end) -> {
          TiledAttention.Document document = documents.get((int) (item / heads));
          int head = (int) (item % heads);
          AttentionHeadGradient tiles = idle.remove();
          try {
            tiles.run(
                document,
                head,
                columns(head),
                qkv,
                attended,
                gradient,
                new AttentionHeadGradient.Target(
                    qkvGradient,
                    part(sums.key(), head * tokens, document),
                    part(sums.value(), head * tokens, document)));
          } finally {
            gemm.release();
            idle.add(tiles);
          }
        });
    HeadGradients.joinKeysAndValues(
        pool, sums.key(), sums.value(), heads, keyValueHeads, qkvGradient);
  }

  private AttentionHead.Columns columns(int head) {
    int keyColumn = (heads + head / (heads / keyValueHeads)) * headDim;
    return new AttentionHead.Columns(
        head * headDim, keyColumn, keyColumn + keyValueHeads * headDim);
  }

  private MemorySegment part(Matrix sums, long headRow, TiledAttention.Document document) {
    long bytes = (long) headDim * Float.BYTES;
    long first = (headRow + document.start()) * bytes;
    return sums.memory().asSlice(first, document.length() * bytes);
  }
}
