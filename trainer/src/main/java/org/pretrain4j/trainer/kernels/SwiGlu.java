package org.pretrain4j.trainer.kernels;

import jdk.incubator.vector.FloatVector;

/**
 * SwiGLU (Shazeer, 2020) behind one projection to gate and up: {@code silu(gate) * up}, {@code
 * silu(g) = g / (1 + e^-g)}. All arithmetic in float32, rounded once at the end.
 */
public final class SwiGlu {
  private static final int CHUNK_ROWS = 4;

  /** Elements in work at a time: three arrays of this length stay in the first cache. */
  private static final int BLOCK = 2048;

  private SwiGlu() {}

  /**
   * Activates.
   *
   * @param gateUp [rows, 2 * intermediateSize]: in each row first the gate, then up
   * @param output [rows, intermediateSize], written
   */
  public static void forward(WorkerPool pool, Matrix gateUp, Matrix output) {
    check(gateUp, output);
    int intermediateSize = output.columns();
    pool.run(
        output.rows(),
        CHUNK_ROWS,
        (from, to, scratch) -> {
          float[] gate = scratch.floats(0, BLOCK);
          float[] up = scratch.floats(1, BLOCK);
          for (long row = from; row < to; row++) {
            for (int column = 0; column < intermediateSize; column += BLOCK) {
              int n = Math.min(BLOCK, intermediateSize - column);
              Staging.read(gateUp, row, column, n, gate);
              Staging.read(gateUp, row, intermediateSize + column, n, up);
              activate(gate, up, n);
              Staging.write(gate, output, row, column, n);
            }
          }
        });
  }

  /**
   * Gradient of {@link #forward}.
   *
   * @param dOutput [rows, intermediateSize]
   * @param gateUp what forward read
   * @param dGateUp [rows, 2 * intermediateSize], written; may be gateUp
   */
  public static void backward(WorkerPool pool, Matrix dOutput, Matrix gateUp, Matrix dGateUp) {
    backward(pool, dOutput, gateUp, dGateUp, null);
  }

  /**
   * Gradient of {@link #forward}, and once more its output.
   *
   * @param dOutput [rows, intermediateSize]
   * @param gateUp what forward read
   * @param dGateUp [rows, 2 * intermediateSize], written; may be gateUp
   * @param output [rows, intermediateSize], written; not dOutput. Null if it is not wanted
   */
  public static void backward(
      WorkerPool pool, Matrix dOutput, Matrix gateUp, Matrix dGateUp, Matrix output) {
    check(gateUp, dOutput);
    dGateUp.requireLike("dGateUp", gateUp);
    if (output != null) {
      output.requireLike("output", dOutput);
    }
    int intermediateSize = dOutput.columns();
    pool.run(
        dOutput.rows(),
        CHUNK_ROWS,
        (from, to, scratch) -> {
          float[] gate = scratch.floats(0, BLOCK);
          float[] up = scratch.floats(1, BLOCK);
          float[] gradient = scratch.floats(2, BLOCK);
          for (long row = from; row < to; row++) {
            for (int column = 0; column < intermediateSize; column += BLOCK) {
              int n = Math.min(BLOCK, intermediateSize - column);
              Staging.read(gateUp, row, column, n, gate);
              Staging.read(gateUp, row, intermediateSize + column, n, up);
              Staging.read(dOutput, row, column, n, gradient);
              gradients(gate, up, gradient, n);
              Staging.write(gate, dGateUp, row, column, n);
              Staging.write(up, dGateUp, row, intermediateSize + column, n);
              if (output != null) {
                Staging.write(gradient, output, row, column, n);
              }
            }
          }
        });
  }

  /** {@code gate = silu(gate) * up}. */
  private static void activate(float[] gate, float[] up, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      FloatVector g = Lanes.load(gate, i);
      g.mul(Exponential.sigmoid(g)).mul(Lanes.load(up, i)).intoArray(gate, i);
    }
  }

  /**
   * Replaces gate and up by their gradients, and the gradient by the output; silu' = s (1 + g (1 -
   * s)) = s + silu - silu s.
   */
  private static void gradients(float[] gate, float[] up, float[] gradient, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      FloatVector g = Lanes.load(gate, i);
      FloatVector u = Lanes.load(up, i);
      FloatVector d = Lanes.load(gradient, i);
      FloatVector sigmoid = Exponential.sigmoid(g);
      FloatVector silu = g.mul(sigmoid);
      FloatVector slope = sigmoid.add(silu.sub(silu.mul(sigmoid)));
      d.mul(u).mul(slope).intoArray(gate, i);
      d.mul(silu).intoArray(up, i);
      silu.mul(u).intoArray(gradient, i);
    }
  }

  private static void check(Matrix gateUp, Matrix output) {
    gateUp.requireShape("gateUp", output.rows(), 2 * output.columns());
    gateUp.requireTypeOf("gateUp", output);
  }
}
