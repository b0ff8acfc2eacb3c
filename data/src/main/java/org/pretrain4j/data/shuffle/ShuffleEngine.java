package org.pretrain4j.data.shuffle;

import java.io.IOException;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.tokens.JobJournal;

/** Moves the sequences of a dataset to the shards that a plan gives them. */
@FunctionalInterface
public interface ShuffleEngine {
  /**
   * Writes the shards that are missing.
   *
   * @param journal of the job, with the shards that are there already
   * @return the journal with all shards of the plan, as written into the target folder
   */
  JobJournal shuffle(ShardedDataset dataset, ShufflePlan plan, JobJournal journal)
      throws IOException;
}
