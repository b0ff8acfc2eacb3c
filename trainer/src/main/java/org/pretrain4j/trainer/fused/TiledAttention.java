package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.TileGemm;
import org.pretrain4j.trainer.model.ModelConfig;

/**
 * Causal attention over documents of bfloat16, in tiles. Each query head of each document is a
 * piece of work for one thread.
 */
final class TiledAttention {
  private final TileGemm gemm;
  private final WorkerPool pool;
  private final int heads;
  private final int keyValueHeads;
  private final int headDim;
  private final ConcurrentLinkedQueue<AttentionHead> idle = new ConcurrentLinkedQueue<>();

  /**
   * A document's tokens {@code [start, end)} of the micro-batch.
   *
   * @param logSumExp float32 {@code [heads, end - start]}: logarithms of the sums of the
   *     exponentials of the scaled scores
   */
  record Document(long start, long end, MemorySegment logSumExp) {
    int length() {
      return (int) (end - start);
    }

    MemorySegment logSumExp(int head) {
      long bytes = (long) length() * Float.BYTES;
      return logSumExp.asSlice(head * bytes, bytes);
    }
  }

  /**
   * @param config whose heads fit
   * @param sequenceLength longest document
   */
  TiledAttention(
      TileGemm gemm, NDManager manager, ModelConfig config, int sequenceLength, WorkerPool pool) {
    this.gemm = gemm;
    this.pool = pool;
    this.heads = config.numAttentionHeads();
    this.keyValueHeads = config.numKeyValueHeads();
    this.headDim = config.headDim();
    float scale = (float) Math.pow(headDim, -0.5);
    for (int i = 0; i < pool.threads(); i++) {
      idle.add(new AttentionHead(gemm, manager, headDim, scale, sequenceLength));
    }
  }

  /**
   * @param documents whose logarithms are written
   * @param qkv {@code [tokens, (heads + 2 keyValueHeads) * headDim]}
   * @param attended {@code [tokens, heads * headDim]}, written
   */
  void run(List<Document> documents, Matrix qkv, Matrix attended) {
    int groups = heads / keyValueHeads;
    pool.run(
        (long) documents.size() * heads,
        1,
        (item, end) -> {
          Document document = documents.get((int) (item / heads));
          int head = (int) (item % heads);
          int keyColumn = (heads + head / groups) * headDim;
          AttentionHead tiles = idle.remove();
          try {
            tiles.run(
                document.start(),
                document.length(),
                new AttentionHead.Columns(
                    head * headDim, keyColumn, keyColumn + keyValueHeads * headDim),
                qkv,
                attended,
                document.logSumExp(head));
          } finally {
            gemm.release();
            idle.add(tiles);
          }
        });
  }
}
