package org.pretrain4j.trainer.parallel.cluster;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.pretrain4j.configuration.UserException;

/** Where the ranks of a run meet: rank 0 listens at the master address, the others connect. */
public final class Rendezvous implements Store {
  private static final String JOINED = "joined/";

  private final StoreServer server;
  private final TcpStore store;

  private Rendezvous(StoreServer server, TcpStore store) {
    this.server = server;
    this.store = store;
  }

  /**
   * Joins the run and returns when all ranks have.
   *
   * @param run a name that all ranks of this run share and other runs don't
   * @param timeout the longest to wait for the others
   * @throws UserException if the master address is unknown
   * @throws RendezvousException if ranks are missing in the end, or come twice; it names them; or
   *     if the port is taken for all that time
   */
  public static Rendezvous join(World world, String run, Duration timeout) {
    if (world.masterAddress() == null) {
      throw new UserException(
          "%s does not say where rank 0 is: set MASTER_ADDR to its host".formatted(world.source()));
    }
    long end = System.nanoTime() + timeout.toNanos();
    StoreServer server = null;
    TcpStore store = null;
    try {
      if (world.rank() == 0) {
        server = listen(run, world.masterPort(), end);
      }
      String host = world.rank() == 0 ? "127.0.0.1" : world.masterAddress();
      store = TcpStore.connect(run, host, world.masterPort(), timeout);
      Rendezvous rendezvous = new Rendezvous(server, store);
      rendezvous.gather(world, timeout);
      return rendezvous;
    } catch (BindException e) {
      throw new RendezvousException(
          "port %d of this machine is taken, rank 0 needs it: set MASTER_PORT to another"
              .formatted(world.masterPort()),
          e);
    } catch (IOException e) {
      throw new RendezvousException("rank 0 cannot listen: " + e.getMessage(), e);
    } catch (RuntimeException e) {
      if (store != null) {
        store.close();
      }
      close(server);
      throw e;
    }
  }

  /** A rank 0 that is ending may still hold the port. */
  private static StoreServer listen(String run, int port, long end) throws IOException {
    while (true) {
      try {
        return new StoreServer(run, port);
      } catch (BindException e) {
        if (System.nanoTime() - end >= 0) {
          throw e;
        }
      }
      pause();
    }
  }

  private void gather(World world, Duration timeout) {
    // A pod that replaces another one has its name and its process number.
    String me =
        "%s, process %d, %s"
            .formatted(hostName(), ProcessHandle.current().pid(), UUID.randomUUID());
    String there = new String(store.setIfAbsent(JOINED + world.rank(), me.getBytes(UTF_8)), UTF_8);
    if (!there.equals(me)) {
      // Not for the user to mend alone: a new start may come before the last one has quite ended.
      throw new RendezvousException(
          "two processes claim rank %d: %s and %s; give each its own RANK"
              .formatted(world.rank(), there, me));
    }
    long end = System.nanoTime() + timeout.toNanos();
    Optional<byte[]> complete = Optional.empty();
    while (complete.isEmpty()) {
      if (world.rank() == 0 || System.nanoTime() > end) {
        Map<String, byte[]> joined = store.list(JOINED);
        if (joined.size() == world.worldSize()) {
          store.set("complete", new byte[0]);
        } else if (System.nanoTime() > end) {
          String missing =
              IntStream.range(0, world.worldSize())
                  .filter(rank -> !joined.containsKey(JOINED + rank))
                  .limit(16)
                  .mapToObj(Integer::toString)
                  .collect(Collectors.joining(", "));
          throw new RendezvousException(
              "%d of %d ranks joined within %s s, missing: %s"
                  .formatted(
                      joined.size(), world.worldSize(), timeout.toMillis() / 1000.0, missing));
        }
      }
      pause();
      complete = store.get("complete");
    }
  }

  private static void pause() {
    try {
      Thread.sleep(20);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RendezvousException("interrupted while waiting for the other ranks", e);
    }
  }

  private static String hostName() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (IOException e) {
      return "unknown host";
    }
  }

  @Override
  public void set(String key, byte[] value) {
    store.set(key, value);
  }

  @Override
  public byte[] setIfAbsent(String key, byte[] value) {
    return store.setIfAbsent(key, value);
  }

  @Override
  public Optional<byte[]> get(String key) {
    return store.get(key);
  }

  @Override
  public Map<String, byte[]> list(String prefix) {
    return store.list(prefix);
  }

  @Override
  public void bequeath(String key, byte[] value) {
    store.bequeath(key, value);
  }

  /** Rank 0 takes the store with it; others merely leave. */
  @Override
  public void close() {
    store.close();
    close(server);
  }

  private static void close(StoreServer server) {
    if (server == null) {
      return;
    }
    try {
      server.close();
    } catch (IOException e) {
      throw new RendezvousException("cannot close the rendezvous", e);
    }
  }
}
