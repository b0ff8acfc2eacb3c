package org.pretrain4j.spark;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Sequence;
import org.pretrain4j.data.shards.SequenceCursor;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.shards.TokenizerIdentity;
import org.pretrain4j.data.shuffle.SequenceCodec;
import org.pretrain4j.data.shuffle.ShuffleEngine;
import org.pretrain4j.data.shuffle.ShuffleJob;
import org.pretrain4j.data.shuffle.ShufflePlan;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.JobJournal;
import scala.Tuple2;

/**
 * Shuffles on a cluster: tasks read stretches of the source, Spark brings each sequence to its
 * bucket and sorts the buckets by the sequences' numbers, and a task for each bucket writes its
 * shard.
 */
public final class SparkShuffle implements ShuffleEngine {
  private static final long READ_BYTES = 64L << 20;

  private final JavaSparkContext spark;
  private final Path target;

  /**
   * @param target the folder of the result, on a file system that all machines share
   */
  public SparkShuffle(JavaSparkContext spark, Path target) {
    this.spark = spark;
    this.target = target;
  }

  @Override
  public JobJournal shuffle(ShardedDataset dataset, ShufflePlan plan, JobJournal journal)
      throws IOException {
    ClusterStorage cluster = new ClusterStorage(spark);
    JobJournal state = journal;
    for (ShardEntry shard : TaskFailure.unwrapped(() -> write(cluster, dataset, plan, journal))) {
      state = state.with(shard, state.shards().size() + 1, 0);
    }
    state.write(cluster.storage(), target, ShuffleJob.JOURNAL);
    return state;
  }

  /** Writes the shards after those that are there, and returns them in their order. */
  private List<ShardEntry> write(
      ClusterStorage cluster, ShardedDataset dataset, ShufflePlan plan, JobJournal journal) {
    String source = dataset.folder().toString();
    String folder = target.toString();
    TokenizerIdentity tokenizer = dataset.manifest().tokenizer();
    int done = journal.shards().size();
    int stretches = plan.buckets();
    JavaPairRDD<Long, byte[]> dealt =
        spark
            .parallelize(IntStream.range(0, stretches).boxed().toList(), stretches)
            .flatMapToPair(stretch -> read(cluster, source, plan, stretch, done));
    return dealt
        .repartitionAndSortWithinPartitions(new BucketPartitioner(plan))
        .mapPartitionsWithIndex(
            (bucket, sequences) -> {
              if (bucket < done) {
                return List.<ShardEntry>of().iterator();
              }
              List<Sequence> inOrder = new ArrayList<>();
              sequences.forEachRemaining(pair -> inOrder.add(SequenceCodec.decode(pair._2())));
              Storage storage = cluster.storage();
              return List.of(
                      plan.writeShard(storage, storage.path(folder), tokenizer, bucket, inOrder))
                  .iterator();
            },
            true)
        .collect();
  }

  private static Iterator<Tuple2<Long, byte[]>> read(
      ClusterStorage cluster, String source, ShufflePlan plan, int stretch, int done) {
    Storage storage = cluster.storage();
    SequenceCursor cursor =
        ShardedDataset.openManifest(storage, storage.path(source), new BlockCache(READ_BYTES))
            .cursor(plan.options().sequenceLength());
    long from = stretch * plan.perShard();
    long to = Math.min(from + plan.perShard(), plan.sequences());
    return LongStream.range(from, to)
        .filter(number -> plan.bucketOf(number) >= done)
        .mapToObj(number -> new Tuple2<>(number, SequenceCodec.encode(cursor.read(number))))
        .iterator();
  }
}
