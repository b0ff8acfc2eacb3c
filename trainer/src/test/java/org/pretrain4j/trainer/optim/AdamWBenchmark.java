package org.pretrain4j.trainer.optim;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.trainer.kernels.Benchmark;
import org.pretrain4j.trainer.kernels.WorkerPool;

/** Prints the memory traffic of AdamW against that of a copy: arguments are elements, threads. */
final class AdamWBenchmark {
  private AdamWBenchmark() {}

  public static void main(String[] arguments) {
    long elements = arguments.length > 0 ? Long.parseLong(arguments[0]) : 32_000_000;
    int threads = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 2;
    try (Arena arena = Arena.ofShared();
        WorkerPool pool = new WorkerPool(threads)) {
      MemorySegment[] memory = new MemorySegment[4];
      for (int i = 0; i < memory.length; i++) {
        memory[i] = arena.allocate(4 * elements, 64);
        memory[i].fill((byte) 0x33);
      }
      MemorySegment bfloat16 = arena.allocate(2 * elements, 64);
      Benchmark.measure(
          "copy",
          8 * elements,
          () ->
              pool.run(
                  4 * elements,
                  1 << 20,
                  (from, to) -> MemorySegment.copy(memory[0], from, memory[1], from, to - from)));
      AdamW adamW = new AdamW(new AdamWSettings(0.9, 0.95, 1e-8), pool);
      var shard =
          new AdamW.Shard(memory[0], memory[1], memory[2], memory[3], Optional.of(bfloat16));
      var decays = List.of(new WeightDecayRange(new FlatRange(0, elements), 0.1));
      Benchmark.measure("AdamW", 30 * elements, () -> adamW.step(shard, decays, 10, 1e-3, 0.5));
    }
  }
}
