package org.pretrain4j.trainer.parallel.backend;

import java.util.Optional;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.cluster.Store;

/** This process's part in the run: its collectives, and what they stand on. */
public final class Membership implements AutoCloseable {
  private final Collectives collectives;
  private final Store store;

  Membership(Collectives collectives, Store store) {
    this.collectives = collectives;
    this.store = store;
  }

  public Collectives collectives() {
    return collectives;
  }

  /** Small values that all ranks share; absent where the engine needs no rendezvous. */
  public Optional<Store> store() {
    return Optional.ofNullable(store);
  }

  @Override
  public void close() {
    try {
      collectives.close();
    } finally {
      if (store != null) {
        store.close();
      }
    }
  }
}
