package org.pretrain4j.trainer.parallel;

import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/** How many ranks share the work, and how they talk. */
public record ParallelismConfig(
    @Key("Number of data-parallel ranks") @Default("1") int ranks,
    @Key("Elements of a bucket of gradients that is reduced in one go") @Default("25M")
        long bucketElements,
    @Key("Threads of libtorch and of the optimizer for each rank")
        @Default(value = "0", meaning = "the processors divided by the ranks of this machine")
        int computeThreads,
    @Key(
            "What a rank keeps of the gradients: `full` all of them, reduced once a step; `sharded`"
                + " its shard and the buckets under way, reduced in every micro-batch; `auto`"
                + " shards where a step has one micro-batch a rank, which costs nothing")
        @Default("auto")
        GradientSharding gradientSharding) {

  public ParallelismConfig {
    new Checks()
        .positive("ranks", ranks)
        .positive("bucket_elements", bucketElements)
        .notNegative("compute_threads", computeThreads)
        .throwIfAny();
  }

  /** Compute threads of a rank on a machine with so many processors that runs all ranks. */
  public int threadsOf(int processors) {
    return computeThreads > 0 ? computeThreads : Math.max(1, processors / ranks);
  }
}
