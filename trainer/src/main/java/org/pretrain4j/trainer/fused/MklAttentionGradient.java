package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.pretrain4j.trainer.kernels.AttentionTile;
import org.pretrain4j.trainer.kernels.HeadGradients;
import org.pretrain4j.trainer.kernels.Matrix;
import org.pretrain4j.trainer.kernels.WorkerPool;
import org.pretrain4j.trainer.libtorch.MklGemm;
import org.pretrain4j.trainer.libtorch.MklGemm.Factor;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.ModelConfig;

/**
 * Backward pass of causal attention over documents, in tiles that stay in the cache (Dao et al.,
 * 2022): scores and probabilities are computed again from queries, keys and the logarithms of the
 * sums that the forward pass left. Each query head of each document is a piece of work for one
 * thread; products end in float32.
 */
final class MklAttentionGradient implements AttentionGradient {
  private static final int QUERIES = 128;
  private static final int KEYS = 512;

  private final MklGemm gemm;
  private final WorkerPool pool;
  private final NDManager manager;
  private final int heads;
  private final int keyValueHeads;
  private final int headDim;
  private final float scale;
  private final Map<Integer, Sums> sumsOf = new HashMap<>();
  private final ConcurrentLinkedQueue<Tiles> idle = new ConcurrentLinkedQueue<>();

  /** float32 {@code [heads * tokens, headDim]} each, head by head. */
  private record Sums(Matrix query, Matrix key, Matrix value) {
    static Sums allocate(NDManager manager, long rows, long headDim) {
      return new Sums(
          Activation.allocate(manager, ScalarType.FLOAT32, rows, headDim).matrix(),
          Activation.allocate(manager, ScalarType.FLOAT32, rows, headDim).matrix(),
          Activation.allocate(manager, ScalarType.FLOAT32, rows, headDim).matrix());
    }
  }

  /** One thread's memory. */
  private record Tiles(
      AttentionTile rows,
      MemorySegment scores,
      MemorySegment gradient,
      MemorySegment probabilities,
      MemorySegment scoreGradient,
      float[] means) {}

  MklAttentionGradient(
      NDManager manager, ModelConfig config, ScalarType type, MklGemm gemm, WorkerPool pool) {
    this.gemm = gemm;
    this.pool = pool;
    this.manager = manager;
    this.heads = config.numAttentionHeads();
    this.keyValueHeads = config.numKeyValueHeads();
    this.headDim = config.headDim();
    this.scale = (float) Math.pow(headDim, -0.5);
    for (int i = 0; i < pool.threads(); i++) {
      MemorySegment scores = tile(ScalarType.FLOAT32);
      MemorySegment gradient = tile(ScalarType.FLOAT32);
      boolean inPlace = type == ScalarType.FLOAT32;
      idle.add(
          new Tiles(
              new AttentionTile(Math.max(KEYS, headDim)),
              scores,
              gradient,
              inPlace ? scores : tile(type),
              inPlace ? gradient : tile(type),
              new float[QUERIES]));
    }
  }

  private MemorySegment tile(ScalarType type) {
    return Tensor.empty(manager, type, (long) QUERIES * KEYS).segment();
  }

  @Override
  public void run(
      List<TiledAttention.Document> documents,
      Matrix qkv,
      Matrix attended,
      Matrix gradient,
      Matrix qkvGradient) {
    Sums sums =
        sumsOf.computeIfAbsent(
            qkv.rows(), tokens -> Sums.allocate(manager, (long) tokens * heads, headDim));
    List<Work> works = new ArrayList<>();
    for (TiledAttention.Document document : documents) {
      for (int head = 0; head < heads; head++) {
        works.add(new Work(document, head, qkv, attended, gradient, sums));
      }
    }
    pool.run(
        works.size(),
        1,
        (from, to) -> {
          Tiles tiles = idle.remove();
          try {
            gemm.alone(() -> works.get((int) from).run(tiles));
          } finally {
            idle.add(tiles);
          }
        });
    HeadGradients.join(pool, sums.query(), sums.key(), sums.value(), keyValueHeads, qkvGradient);
  }

  /** One query head of one document. */
  private final class Work {
    private final TiledAttention.Document document;
    private final int head;
    private final Matrix qkv;
    private final Matrix attended;
    private final Matrix gradient;
    private final Sums sums;
    private final int keyColumn;
    private final int valueColumn;

    Work(
        TiledAttention.Document document,
        int head,
        Matrix qkv,
        Matrix attended,
        Matrix gradient,
        Sums sums) {
      this.document = document;
      this.head = head;
      this.qkv = qkv;
      this.attended = attended;
      this.gradient = gradient;
      this.sums = sums;
      int keyValueHead = head / (heads / keyValueHeads);
      this.keyColumn = (heads + keyValueHead) * headDim;
      this.valueColumn = keyColumn + keyValueHeads * headDim;
    }

    void run(Tiles tiles) {
      int length = (int) (document.end() - document.start());
      sum(sums.key(), 0, length).fill((byte) 0);
      sum(sums.value(), 0, length).fill((byte) 0);
      for (int query = 0; query < length; query += QUERIES) {
        int end = Math.min(length, query + QUERIES);
        for (int i = query; i < end; i++) {
          long row = document.start() + i;
          tiles.means()[i - query] =
              tiles.rows().product(attended, row, head * headDim, gradient, row, headDim);
        }
        for (int key = 0; key < end; key += KEYS) {
          tile(tiles, query, end, key, Math.min(end, key + KEYS));
        }
      }
    }

    private void tile(Tiles tiles, int query, int queryEnd, int key, int keyEnd) {
      int queries = queryEnd - query;
      int keys = keyEnd - key;
      Factor q = factor(qkv, query, head * headDim, false);
      Factor k = factor(qkv, key, keyColumn, false);
      Factor outputGradient = factor(gradient, query, head * headDim, false);
      multiply(queries, keys, headDim, q, transposed(k), false, tiles.scores());
      Factor v = factor(qkv, key, valueColumn, true);
      multiply(queries, keys, headDim, outputGradient, v, false, tiles.gradient());
      boolean bfloat16 = qkv.bfloat16();
      Matrix p = part(tiles.probabilities(), queries, keys, bfloat16);
      Matrix ds = part(tiles.scoreGradient(), queries, keys, bfloat16);
      Matrix s = part(tiles.scores(), queries, keys, false);
      Matrix d = part(tiles.gradient(), queries, keys, false);
      long sums = (long) head * (document.end() - document.start());
      for (int i = 0; i < queries; i++) {
        float logSumExp = document.logSumExp().getAtIndex(ValueLayout.JAVA_FLOAT, sums + query + i);
        tiles.rows().row(i, query + i + 1 - key, scale, logSumExp, tiles.means()[i], s, d, p, ds);
      }
      Factor pT = new Factor(p.memory(), keys, true);
      Factor dsT = new Factor(ds.memory(), keys, true);
      multiply(
          keys, headDim, queries, pT, outputGradient, true, sum(this.sums.value(), key, keyEnd));
      multiply(keys, headDim, queries, dsT, q, true, sum(this.sums.key(), key, keyEnd));
      Factor dS = new Factor(ds.memory(), keys, false);
      multiply(queries, headDim, keys, dS, k, key > 0, sum(this.sums.query(), query, queryEnd));
    }

    private void multiply(
        int rows, int columns, int inner, Factor a, Factor b, boolean add, MemorySegment c) {
      gemm.multiply(rows, columns, inner, a, b, add, c, columns);
    }

    private static Factor transposed(Factor factor) {
      return new Factor(factor.memory(), factor.stride(), true);
    }

    private static Matrix part(MemorySegment memory, int rows, int columns, boolean bfloat16) {
      long bytes = (long) rows * columns * (bfloat16 ? Short.BYTES : Float.BYTES);
      return new Matrix(memory.asSlice(0, bytes), rows, columns, bfloat16);
    }

    /** Rows of the document from one on, columns from one on. */
    private Factor factor(Matrix matrix, int row, int column, boolean transposed) {
      long element = (document.start() + row) * matrix.columns() + column;
      return new Factor(
          matrix.memory().asSlice(element * matrix.elementBytes()), matrix.columns(), transposed);
    }

    /** The head's sums for the document's tokens {@code [from, to)}. */
    private MemorySegment sum(Matrix all, int from, int to) {
      long first = (long) head * (all.rows() / heads) + document.start();
      long bytes = (long) headDim * Float.BYTES;
      return all.memory().asSlice((first + from) * bytes, (to - from) * bytes);
    }
  }
}
