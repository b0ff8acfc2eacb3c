package org.pretrain4j.trainer.kernels;

import jdk.incubator.vector.FloatVector;

/**
 * Rotary position embedding (Su et al., 2021) in halves: elements i and i + headDim / 2 of a head
 * are a pair, rotated by {@code position * theta^(-2 i / headDim)}. Holds the cosines and sines.
 */
public final class RotaryEmbedding {
  private static final int CHUNK_ROWS = 8;

  private final WorkerPool pool;
  private final int headDim;
  private final int positions;
  private final float[] cosines; // [positions, headDim / 2]
  private final float[] sines;

  /**
   * Tables for positions 0 to positions - 1, computed in float64.
   *
   * @param headDim elements of a head, even
   * @param theta base of the frequencies
   */
  public RotaryEmbedding(WorkerPool pool, int positions, int headDim, double theta) {
    this.pool = pool;
    this.headDim = headDim;
    this.positions = positions;
    RotaryAngles angles = RotaryAngles.of(positions, headDim, theta);
    cosines = angles.cosines();
    sines = angles.sines();
  }

  /**
   * Rotates the first heads of each row in place; the rest of the row (the values) stays as it is.
   *
   * @param qkv [rows, width] with width at least heads * headDim
   * @param heads number of query and key heads together
   * @param sequence rows of a sequence: row r has position r % sequence
   */
  public void forward(Matrix qkv, int heads, int sequence) {
    rotate(qkv, heads, sequence, 1);
  }

  /** Gradient of {@link #forward}: rotates back, in place. */
  public void backward(Matrix dQkv, int heads, int sequence) {
    rotate(dQkv, heads, sequence, -1);
  }

  private void rotate(Matrix qkv, int heads, int sequence, float direction) {
    int width = heads * headDim;
    if (width > qkv.columns() || sequence > positions || sequence < 1) {
      throw new IllegalArgumentException(
          "%d heads of %d in rows of %d; sequence %d of %d positions"
              .formatted(heads, headDim, qkv.columns(), sequence, positions));
    }
    pool.run(
        qkv.rows(),
        CHUNK_ROWS,
        (from, to, scratch) -> {
          float[] values = scratch.floats(0, Staging.padded(width));
          for (long row = from; row < to; row++) {
            Staging.read(qkv, row, 0, width, values);
            int angles = (int) (row % sequence) * (headDim / 2);
            for (int start = 0; start < width; start += headDim) {
              rotateHead(values, start, angles, direction);
            }
            Staging.write(values, qkv, row, 0, width);
          }
        });
  }

  private void rotateHead(float[] values, int start, int angles, float direction) {
    int half = headDim / 2;
    int i = 0;
    for (; i <= half - Lanes.COUNT; i += Lanes.COUNT) {
      FloatVector cosine = Lanes.load(cosines, angles + i);
      FloatVector sine = Lanes.load(sines, angles + i).mul(direction);
      FloatVector first = Lanes.load(values, start + i);
      FloatVector second = Lanes.load(values, start + half + i);
      first.mul(cosine).sub(second.mul(sine)).intoArray(values, start + i);
      second.mul(cosine).add(first.mul(sine)).intoArray(values, start + half + i);
    }
    for (; i < half; i++) {
      float cosine = cosines[angles + i];
      float sine = sines[angles + i] * direction;
      float first = values[start + i];
      float second = values[start + half + i];
      values[start + i] = first * cosine - second * sine;
      values[start + half + i] = second * cosine + first * sine;
    }
  }
}
