package org.pretrain4j.trainer.parallel.cluster;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** A rank's connection to the {@link StoreServer} of rank 0. Safe for several threads. */
final class TcpStore implements Store {
  /** An exchange on the socket; the lock of the store is held. */
  @FunctionalInterface
  private interface Exchange<T> {
    T run() throws IOException;
  }

  private static final Logger LOG = LogManager.getLogger();
  private static final Duration FAREWELL = Duration.ofSeconds(1);

  private final String address;
  private final Socket socket;
  private final DataInputStream in;
  private final DataOutputStream out;
  private final Object lock = new Object();

  private TcpStore(String address, Socket socket, Duration timeout) throws IOException {
    this.address = address;
    this.socket = socket;
    socket.setTcpNoDelay(true);
    socket.setKeepAlive(true);
    socket.setSoTimeout(Math.toIntExact(Math.max(1, timeout.toMillis())));
    in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
    out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
  }

  /**
   * Tries until it succeeds or the time is over; rank 0 may start later than the others.
   *
   * @throws RendezvousException if nobody answers, or somebody else
   */
  static TcpStore connect(String run, String host, int port, Duration timeout) {
    String address = host + ":" + port;
    long end = System.nanoTime() + timeout.toNanos();
    while (true) {
      Socket socket = new Socket();
      try {
        // Resolved anew each time: a name may appear only when its machine does.
        socket.connect(new InetSocketAddress(host, port), 5000);
        TcpStore store = new TcpStore(address, socket, timeout);
        store.greet(run);
        return store;
      } catch (IOException | IllegalArgumentException e) {
        closeQuietly(socket);
        if (System.nanoTime() > end) {
          throw new RendezvousException(
              "rank 0 does not answer at %s within %s s (%s): check MASTER_ADDR, MASTER_PORT and the firewall, and that rank 0 runs"
                  .formatted(address, timeout.toMillis() / 1000.0, e.getMessage()),
              e);
        }
      }
      try {
        Thread.sleep(200);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new RendezvousException("interrupted while connecting to " + address, e);
      }
    }
  }

  private static void closeQuietly(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      throw new RendezvousException("cannot close a socket", e);
    }
  }

  private void greet(String run) throws IOException {
    out.writeInt(StoreServer.MAGIC);
    out.writeUTF(run);
    out.flush();
    if (in.readInt() != StoreServer.MAGIC) {
      throw new RendezvousException(
          address + " is taken by another program: choose another MASTER_PORT");
    }
    String other = in.readUTF();
    if (!other.equals(run)) {
      throw new RendezvousException(
          "%s belongs to the run '%s', not to '%s': end that run, or choose another MASTER_PORT"
              .formatted(address, other, run));
    }
  }

  private <T> T exchange(String what, Exchange<T> exchange) {
    synchronized (lock) {
      try {
        return exchange.run();
      } catch (SocketTimeoutException e) {
        throw new RendezvousException(address + " (rank 0) does not answer: " + what, e);
      } catch (IOException e) {
        throw new RendezvousException(
            "the connection to rank 0 at " + address + " is lost: " + e.getMessage(), e);
      }
    }
  }

  private void ask(StoreServer.Request request, String key) throws IOException {
    out.writeByte(request.ordinal());
    out.writeUTF(key);
  }

  @Override
  public void set(String key, byte[] value) {
    exchange(
        "set " + key,
        () -> {
          ask(StoreServer.Request.SET, key);
          StoreServer.writeValue(out, value);
          out.flush();
          return in.readBoolean();
        });
  }

  @Override
  public byte[] setIfAbsent(String key, byte[] value) {
    return exchange(
        "set " + key,
        () -> {
          ask(StoreServer.Request.SET_IF_ABSENT, key);
          StoreServer.writeValue(out, value);
          out.flush();
          return StoreServer.readValue(in);
        });
  }

  @Override
  public Optional<byte[]> get(String key) {
    return exchange(
        "get " + key,
        () -> {
          ask(StoreServer.Request.GET, key);
          out.flush();
          return in.readBoolean() ? Optional.of(StoreServer.readValue(in)) : Optional.empty();
        });
  }

  @Override
  public Map<String, byte[]> list(String prefix) {
    return exchange(
        "list " + prefix,
        () -> {
          ask(StoreServer.Request.LIST, prefix);
          out.flush();
          Map<String, byte[]> values = new TreeMap<>();
          for (int left = in.readInt(); left > 0; left--) {
            values.put(in.readUTF(), StoreServer.readValue(in));
          }
          return values;
        });
  }

  @Override
  public void bequeath(String key, byte[] value) {
    exchange(
        "bequeath " + key,
        () -> {
          ask(StoreServer.Request.BEQUEATH, key);
          StoreServer.writeValue(out, value);
          out.flush();
          return in.readBoolean();
        });
  }

  /** Ends as a killed process does: without a word. */
  void cut() {
    closeQuietly(socket);
  }

  @Override
  public void close() {
    // Another thread may be in an exchange with a machine that does not answer any more.
    Thread goodbye = Thread.ofVirtual().start(this::sayGoodbye);
    try {
      goodbye.join(FAREWELL);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    closeQuietly(socket);
  }

  private void sayGoodbye() {
    try {
      exchange(
          "goodbye",
          () -> {
            ask(StoreServer.Request.GOODBYE, "");
            out.flush();
            return in.readBoolean();
          });
    } catch (RendezvousException e) {
      LOG.trace("rank 0 has gone before", e);
    }
  }
}
