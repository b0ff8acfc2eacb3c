package org.pretrain4j.trainer.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/**
 * Prints time and memory traffic of the kernels against those of a copy. Arguments: tokens, hidden
 * size, intermediate size, vocabulary, threads.
 */
final class KernelBenchmark {
  private KernelBenchmark() {}

  public static void main(String[] arguments) {
    int[] sizes = {2048, 2048, 11_008, 49_152, 2};
    for (int i = 0; i < arguments.length; i++) {
      sizes[i] = Integer.parseInt(arguments[i]);
    }
    try (WorkerPool pool = new WorkerPool(sizes[4])) {
      run(pool, sizes[0], sizes[1], sizes[2], sizes[3]);
    }
  }

  private static void run(WorkerPool pool, int rows, int hidden, int ffn, int vocab) {
    Random random = new Random(1);
    Matrix x = random(random, rows, hidden);
    Matrix y = random(random, rows, hidden);
    Matrix z = random(random, rows, hidden);
    Matrix s = random(random, rows, hidden);
    Matrix weight = random(random, 1, hidden);
    MemorySegment rstd = OffHeap.floats((long) rows);
    MemorySegment dWeight = OffHeap.floats((long) hidden);
    long bytes = x.memory().byteSize();
    MemorySegment from = Arena.ofAuto().allocate(64 << 20, 64);
    MemorySegment to = Arena.ofAuto().allocate(64 << 20, 64);
    Benchmark.measure(
        "copy 64 MiB", 2 * from.byteSize(), () -> copy(pool, from, to, from.byteSize()));
    Benchmark.measure("copy [rows, hidden]", 2 * bytes, () -> copy(pool, from, to, bytes));
    RmsNorm norm = new RmsNorm(pool, hidden, 1e-6);
    Benchmark.measure("rmsnorm forward", 2 * bytes, () -> norm.forward(x, weight, y, rstd));
    Benchmark.measure(
        "rmsnorm backward", 3 * bytes, () -> norm.backward(y, x, weight, rstd, z, dWeight));
    Benchmark.measure(
        "add + rmsnorm backward",
        4 * bytes,
        () -> norm.addBackward(y, s, x, weight, rstd, z, dWeight));
    Matrix gateUp = random(random, rows, 2 * ffn);
    Matrix dGateUp = random(random, rows, 2 * ffn);
    Matrix activated = random(random, rows, ffn);
    long ffnBytes = activated.memory().byteSize();
    Benchmark.measure(
        "swiglu forward", 3 * ffnBytes, () -> SwiGlu.forward(pool, gateUp, activated));
    Benchmark.measure(
        "swiglu backward", 5 * ffnBytes, () -> SwiGlu.backward(pool, activated, gateUp, dGateUp));
    RotaryEmbedding rope = new RotaryEmbedding(pool, rows, 64, 50_000);
    Benchmark.measure("rope [rows, hidden]", 2 * bytes, () -> rope.forward(x, hidden / 64, rows));
    Matrix logits = random(random, rows, vocab);
    Matrix dLogits = random(random, rows, vocab);
    int[] targets = random.ints(rows, 0, vocab).toArray();
    Benchmark.measure(
        "cross entropy forward + backward",
        2 * logits.memory().byteSize(),
        () -> CrossEntropy.forwardBackward(pool, logits, targets, 1e-3f, dLogits));
    Matrix table = random(random, vocab, hidden);
    Matrix dTable = Matrix.float32(OffHeap.floats((long) vocab * hidden).asSlice(0), vocab, hidden);
    Benchmark.measure(
        "embedding forward", 2 * bytes, () -> Embedding.forward(pool, table, targets, y));
    Benchmark.measure(
        "embedding backward", 5 * bytes, () -> Embedding.backward(pool, y, targets, dTable));
    MemorySegment sum = OffHeap.floats(32L << 20);
    MemorySegment addend = OffHeap.bfloat16(32L << 20);
    Benchmark.measure(
        "float32 += bfloat16", (32L << 20) * 10, () -> Accumulation.addBfloat16(pool, sum, addend));
  }

  private static void copy(WorkerPool pool, MemorySegment from, MemorySegment to, long bytes) {
    pool.run(bytes, 1 << 18, (a, b) -> MemorySegment.copy(from, a, to, a, b - a));
  }

  private static Matrix random(Random random, int rows, int columns) {
    MemorySegment memory = Arena.ofAuto().allocate(2L * rows * columns, 64);
    for (long i = 0; i < (long) rows * columns; i++) {
      float value = random.nextFloat() * 4 - 2;
      memory.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >> 16));
    }
    return Matrix.bfloat16(memory, rows, columns);
  }
}
