package org.pretrain4j.trainer.sharding;

import org.pretrain4j.checkpoints.FlatRange;

/**
 * A run of parameters that travels in one collective. In storage it is padded at its end, so that
 * every rank owns an equal chunk of it.
 *
 * @param range its parameters in the flat space
 * @param storageStart its first element in the padded storage
 * @param chunk elements that each rank owns, padding included
 * @param readyPart the part of the model whose gradients are the last to be known
 */
public record Bucket(FlatRange range, long storageStart, long chunk, int readyPart) {

  /** The part of the flat space that a rank owns; empty where only padding is left for it. */
  public FlatRange ownedBy(int rank) {
    long start = Math.min(range.end(), range.start() + rank * chunk);
    return new FlatRange(start, Math.min(range.end(), start + chunk));
  }
}
