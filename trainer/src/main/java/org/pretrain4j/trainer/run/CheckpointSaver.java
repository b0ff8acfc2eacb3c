package org.pretrain4j.trainer.run;

import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.StagedCheckpoint;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.trainer.parallel.Collectives;

/** Saves a run with all its ranks: each writes its shard, then rank 0 publishes. */
final class CheckpointSaver {
  private final RunConfig config;
  private final Collectives collectives;
  private final CheckpointStore store;
  private final TokenStream stream;
  private final RankTrainer rank;
  private final TrainingListener listener;
  private final String attempt;

  CheckpointSaver(
      RunConfig config,
      Collectives collectives,
      CheckpointStore store,
      TokenStream stream,
      RankTrainer rank,
      TrainingListener listener) {
    this.config = config;
    this.collectives = collectives;
    this.store = store;
    this.stream = stream;
    this.rank = rank;
    this.listener = listener;
    byte[] id = UUID.randomUUID().toString().getBytes(StandardCharsets.US_ASCII);
    this.attempt = new String(collectives.broadcastBytes(id, 0), StandardCharsets.US_ASCII);
  }

  /**
   * Saves.
   *
   * @return the seconds that it took
   * @throws org.pretrain4j.checkpoints.CheckpointWriteException if it can't be written; what was
   *     saved before is untouched
   */
  double save(long stepsDone) {
    long start = System.nanoTime();
    StagedCheckpoint staged = store.stage(stepsDone, attempt);
    staged.writeShard(
        collectives.rank(),
        collectives.worldSize(),
        rank.parameters(),
        rank.shard().ranges(),
        rank.shard().values());
    collectives.barrier();
    if (collectives.rank() == 0) {
      staged.publish(
          collectives.worldSize(), SavedState.of(config, stream, stepsDone, rank.guardState()));
      store.retainNewest(config.checkpoints().keepLast(), listener::warning);
    }
    collectives.barrier();
    double seconds = (System.nanoTime() - start) * 1e-9;
    if (collectives.rank() == 0) {
      listener.saved(stepsDone, seconds);
    }
    return seconds;
  }
}
