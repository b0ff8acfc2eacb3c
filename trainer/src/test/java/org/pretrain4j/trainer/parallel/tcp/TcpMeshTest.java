package org.pretrain4j.trainer.parallel.tcp;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.ServerSocket;
import java.net.Socket;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.pretrain4j.trainer.parallel.cluster.Rendezvous;
import org.pretrain4j.trainer.parallel.cluster.World;

@Timeout(60)
class TcpMeshTest {
  private static final Duration LONG = Duration.ofSeconds(40);

  @Test
  void somebodyWhoConnectsAndSaysNothingKeepsNobodyOut() throws Exception {
    int port;
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    World world = new World(0, 1, 0, "localhost", port, World.Source.TORCHRUN);
    try (Rendezvous store = Rendezvous.join(world, "test", LONG);
        ExecutorService threads = Executors.newThreadPerTaskExecutor(Thread::new)) {
      Future<Map<Integer, SocketChannel>> first =
          threads.submit(() -> TcpMesh.connect(store, 0, 2, LONG));
      String[] lines = new String(store.await("tcp/address/0", LONG), UTF_8).split("\n");
      String mesh = lines[1].substring(lines[1].indexOf(' ') + 1);
      try (Socket silent = new Socket("localhost", Integer.parseInt(mesh))) {
        Map<Integer, SocketChannel> second = TcpMesh.connect(store, 1, 2, LONG);
        Map<Integer, SocketChannel> channels = first.get();
        assertEquals(Set.of(1), channels.keySet());
        assertEquals(-1, silent.getInputStream().read());
        channels.get(1).close();
        second.get(0).close();
      }
    }
  }
}
