package org.pretrain4j.trainer.parallel.tcp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TcpLinksTest {
  /** Has no memory for what comes. */
  private static final class Full implements TcpLinks.Listener {
    private final CompletableFuture<Throwable> broken = new CompletableFuture<>();

    @Override
    public boolean beforeSending() {
      return true;
    }

    @Override
    public void afterSending(TcpOperation operation, boolean sent) {}

    @Override
    public void received(int peer, SocketChannel channel, Frame frame) {
      throw new OutOfMemoryError("no room for " + frame.bytes() + " bytes");
    }

    @Override
    public void lost(int peer, IOException cause) {
      broken.complete(cause);
    }

    @Override
    public void broken(int peer, Throwable cause) {
      broken.complete(cause);
    }
  }

  @Test
  void aLackOfMemoryInAConnectionsThreadIsTold() throws Exception {
    Full full = new Full();
    try (ServerSocketChannel server = ServerSocketChannel.open()) {
      server.bind(new InetSocketAddress("localhost", 0));
      try (SocketChannel peer = SocketChannel.open(server.getLocalAddress());
          SocketChannel mine = server.accept()) {
        TcpLinks links = new TcpLinks(Map.of(1, mine), full);
        links.start();
        new Frame(Frame.Kind.DATA, 0, 1, 1000, "barrier()").write(peer);
        Throwable cause = full.broken.get(20, TimeUnit.SECONDS);
        assertInstanceOf(OutOfMemoryError.class, cause);
        assertEquals("no room for 1000 bytes", cause.getMessage());
        links.disconnect();
      }
    }
  }
}
