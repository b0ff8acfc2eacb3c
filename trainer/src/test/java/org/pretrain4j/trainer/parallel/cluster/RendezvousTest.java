package org.pretrain4j.trainer.parallel.cluster;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class RendezvousTest {
  private static final Duration LONG = Duration.ofSeconds(30);
  private static final Duration SHORT = Duration.ofMillis(300);

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  private static World world(int rank, int size, int port) {
    return new World(rank, size, 0, "localhost", port, World.Source.TORCHRUN);
  }

  @Test
  void ranksMeetWhateverTheOrderInWhichTheyStart() throws Exception {
    int port = freePort();
    int size = 5;
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<byte[]>> ids = new ArrayList<>();
      for (int rank = size - 1; rank >= 0; rank--) {
        World world = world(rank, size, port);
        ids.add(
            threads.submit(
                () -> {
                  try (Rendezvous store = Rendezvous.join(world, "run", LONG)) {
                    if (world.rank() == 0) {
                      store.set("id", new byte[] {1, 2, 3});
                    }
                    byte[] id = store.await("id", LONG);
                    byte[] mine = Integer.toString(world.rank()).getBytes(UTF_8);
                    store.set("done/" + world.rank(), mine);
                    while (world.rank() == 0 && store.list("done/").size() < size) {
                      Thread.sleep(5);
                    }
                    return id;
                  }
                }));
      }
      for (Future<byte[]> id : ids) {
        assertArrayEquals(new byte[] {1, 2, 3}, id.get());
      }
    }
  }

  @Test
  void theFirstValueStaysWhereAskedSo() throws Exception {
    try (Rendezvous store = Rendezvous.join(world(0, 1, freePort()), "run", LONG)) {
      assertArrayEquals(new byte[] {1}, store.setIfAbsent("a", new byte[] {1}));
      assertArrayEquals(new byte[] {1}, store.setIfAbsent("a", new byte[] {2}));
      store.set("a", new byte[] {3});
      assertArrayEquals(new byte[] {3}, store.get("a").orElseThrow());
      assertTrue(store.get("b").isEmpty());
      assertThrows(RendezvousException.class, () -> store.await("b", SHORT));
    }
  }

  @Test
  void missingRanksAreNamed() throws Exception {
    int port = freePort();
    RendezvousException e =
        assertThrows(
            RendezvousException.class, () -> Rendezvous.join(world(0, 3, port), "run", SHORT));
    assertEquals("1 of 3 ranks joined within 0.3 s, missing: 1, 2", e.getMessage());
  }

  @Test
  void anAbsentRankZeroIsNamedWithItsAddress() throws Exception {
    int port = freePort();
    RendezvousException e =
        assertThrows(
            RendezvousException.class, () -> Rendezvous.join(world(1, 2, port), "run", SHORT));
    assertTrue(
        e.getMessage().startsWith("rank 0 does not answer at localhost:" + port), e.getMessage());
  }

  @Test
  void anotherRunAtTheSamePortAndATwinAreNoticed() throws Exception {
    int port = freePort();
    try (Rendezvous store = Rendezvous.join(world(0, 1, port), "run", LONG)) {
      RendezvousException other =
          assertThrows(
              RendezvousException.class, () -> Rendezvous.join(world(1, 2, port), "mine", LONG));
      assertTrue(other.getMessage().contains("belongs to the run 'run'"), other.getMessage());
      store.set("joined/1", "elsewhere, process 5".getBytes(UTF_8));
      RendezvousException twin =
          assertThrows(
              RendezvousException.class, () -> Rendezvous.join(world(1, 2, port), "run", LONG));
      assertTrue(
          twin.getMessage().startsWith("two processes claim rank 1: elsewhere, process 5 and "),
          twin.getMessage());
    }
  }

  @Test
  void theNextStartOfARankIsNotTakenForTheOneThatDied() throws Exception {
    int port = freePort();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<Rendezvous> leader =
          threads.submit(() -> Rendezvous.join(world(0, 2, port), "run", LONG));
      Rendezvous.join(world(1, 2, port), "run", LONG).close();
      try (Rendezvous ending = leader.get()) {
        // The same machine, the same process number, the same run, and rank 0 has not noticed yet.
        RendezvousException twin =
            assertThrows(
                RendezvousException.class, () -> Rendezvous.join(world(1, 2, port), "run", LONG));
        assertTrue(twin.getMessage().startsWith("two processes claim rank 1: "), twin.getMessage());
        assertTrue(ending.get("complete").isPresent());
      }
    }
  }

  @Test
  void whatARankBequeathsIsSetOnlyIfItGoesWithoutAGoodbye() throws Exception {
    int port = freePort();
    try (Rendezvous store = Rendezvous.join(world(0, 1, port), "run", LONG)) {
      TcpStore leaving = TcpStore.connect("run", "localhost", port, LONG);
      leaving.bequeath("left", new byte[] {1});
      leaving.close();
      TcpStore killed = TcpStore.connect("run", "localhost", port, LONG);
      killed.bequeath("killed", new byte[] {2});
      assertTrue(store.get("killed").isEmpty());
      killed.cut();
      assertArrayEquals(new byte[] {2}, store.await("killed", LONG));
      assertTrue(store.get("left").isEmpty());
    }
  }

  @Test
  void aPortThatAnEndingRankStillHoldsIsWaitedFor() throws Exception {
    ServerSocket taken = new ServerSocket(0);
    int port = taken.getLocalPort();
    Thread ending =
        Thread.ofVirtual()
            .start(
                () -> {
                  try (taken) {
                    Thread.sleep(500);
                  } catch (IOException | InterruptedException e) {
                    throw new IllegalStateException(e);
                  }
                });
    try (Rendezvous rendezvous = Rendezvous.join(world(0, 1, port), "run", LONG)) {
      rendezvous.set("key", new byte[] {1});
      assertEquals(1, rendezvous.get("key").orElseThrow().length);
    }
    ending.join();
  }

  @Test
  void aPortThatStaysTakenIsNamed() throws Exception {
    try (ServerSocket taken = new ServerSocket(0)) {
      int port = taken.getLocalPort();
      RendezvousException e =
          assertThrows(
              RendezvousException.class, () -> Rendezvous.join(world(0, 2, port), "run", SHORT));
      assertEquals(
          "port " + port + " of this machine is taken, rank 0 needs it: set MASTER_PORT to another",
          e.getMessage());
    }
  }
}
