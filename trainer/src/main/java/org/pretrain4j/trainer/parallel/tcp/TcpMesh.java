package org.pretrain4j.trainer.parallel.tcp;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.Channel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.trainer.parallel.cluster.RendezvousException;
import org.pretrain4j.trainer.parallel.cluster.Store;

/** A connection between every two ranks. */
final class TcpMesh {
  private static final Logger LOG = LogManager.getLogger();
  private static final int TOKEN_BYTES = 16;

  /** The longest that somebody who connects may take to say who it is. */
  private static final Duration HELLO = Duration.ofSeconds(5);

  private static final Duration AGAIN = Duration.ofMillis(100);

  private TcpMesh() {}

  /**
   * Connects this rank with all others.
   *
   * @return channels by rank
   * @throws RendezvousException if ranks cannot be reached in time; it names one
   */
  static Map<Integer, SocketChannel> connect(
      Store store, int rank, int worldSize, Duration timeout) {
    long end = System.nanoTime() + timeout.toNanos();
    Map<Integer, SocketChannel> channels = new TreeMap<>();
    boolean connected = false;
    try (ServerSocketChannel server = ServerSocketChannel.open()) {
      server.bind(null, 1024);
      if (rank == 0) {
        byte[] token = new byte[TOKEN_BYTES];
        new SecureRandom().nextBytes(token);
        store.set("tcp/token", token);
      }
      byte[] token = store.await("tcp/token", timeout);
      int port = ((InetSocketAddress) server.getLocalAddress()).getPort();
      store.set("tcp/address/" + rank, addresses(port).getBytes(UTF_8));
      for (int peer = 0; peer < rank; peer++) {
        String there = new String(store.await("tcp/address/" + peer, timeout), UTF_8);
        channels.put(peer, reach(peer, there, rank, token, end));
      }
      AtomicBoolean late = new AtomicBoolean();
      Thread alarm = Thread.ofVirtual().start(() -> closeAt(server, end, late));
      try {
        while (channels.size() < worldSize - 1) {
          accept(server, token, rank, worldSize, channels, end);
        }
      } catch (IOException e) {
        if (late.get()) {
          throw tooLate(channels, rank, worldSize, timeout, e);
        }
        throw e;
      } finally {
        alarm.interrupt();
      }
      connected = true;
      return channels;
    } catch (IOException e) {
      throw new RendezvousException(
          "rank " + rank + " cannot connect to the other ranks: " + e.getMessage(), e);
    } finally {
      if (!connected) {
        channels.values().forEach(TcpMesh::closeQuietly);
      }
    }
  }

  private static RendezvousException tooLate(
      Map<Integer, SocketChannel> channels, int rank, int size, Duration timeout, IOException e) {
    List<Integer> missing = new ArrayList<>();
    for (int peer = rank + 1; peer < size; peer++) {
      if (!channels.containsKey(peer)) {
        missing.add(peer);
      }
    }
    return new RendezvousException(
        "ranks %s did not connect to rank %d within %s s"
            .formatted(missing, rank, timeout.toMillis() / 1000.0),
        e);
  }

  private static void closeAt(Channel channel, long end, AtomicBoolean late) {
    try {
      Thread.sleep(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
      late.set(true);
      closeQuietly(channel);
    } catch (InterruptedException e) {
      LOG.trace("in time");
    }
  }

  private static void closeQuietly(Channel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      LOG.warn("cannot close a socket: {}", e.toString());
    }
  }

  /** This machine's name, then all its addresses with the port. */
  private static String addresses(int port) throws IOException {
    List<String> addresses = new ArrayList<>();
    addresses.add(InetAddress.getLocalHost().getHostName());
    NetworkInterface.networkInterfaces()
        .flatMap(NetworkInterface::inetAddresses)
        .filter(address -> !address.isLinkLocalAddress())
        .sorted((a, b) -> Boolean.compare(b.isLoopbackAddress(), a.isLoopbackAddress()))
        .forEach(address -> addresses.add(address.getHostAddress() + " " + port));
    return String.join("\n", addresses);
  }

  private static SocketChannel reach(int peer, String there, int rank, byte[] token, long end)
      throws IOException {
    String[] lines = there.split("\n");
    boolean sameHost = lines[0].equals(InetAddress.getLocalHost().getHostName());
    IOException last = new IOException("it has no address that can be reached from here");
    do {
      for (String line : Arrays.copyOfRange(lines, 1, lines.length)) {
        int blank = line.indexOf(' ');
        InetAddress address = InetAddress.getByName(line.substring(0, blank));
        if (address.isLoopbackAddress() && !sameHost) {
          continue;
        }
        SocketChannel channel = SocketChannel.open();
        try {
          int port = Integer.parseInt(line.substring(blank + 1));
          channel.socket().connect(new InetSocketAddress(address, port), 5000);
          tune(channel);
          Frame.write(channel, ByteBuffer.allocate(TOKEN_BYTES + 4).put(token).putInt(rank).flip());
          return channel;
        } catch (IOException e) {
          channel.close();
          last = e;
        }
      }
      pause();
    } while (System.nanoTime() < end);
    throw new IOException(
        "rank " + peer + " at " + there.replace('\n', ' ') + ": " + last.getMessage(), last);
  }

  private static void pause() throws IOException {
    try {
      Thread.sleep(AGAIN);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private static void accept(
      ServerSocketChannel server,
      byte[] token,
      int rank,
      int worldSize,
      Map<Integer, SocketChannel> channels,
      long end)
      throws IOException {
    SocketChannel channel = server.accept();
    ByteBuffer hello = ByteBuffer.allocate(TOKEN_BYTES + 4);
    long until = Math.min(end, System.nanoTime() + HELLO.toNanos());
    Thread alarm = Thread.ofVirtual().start(() -> closeAt(channel, until, new AtomicBoolean()));
    try {
      hello = Frame.read(channel, hello);
    } catch (IOException e) {
      LOG.warn("somebody connected and did not say who it is: {}", e.toString());
      closeQuietly(channel);
      return;
    } finally {
      alarm.interrupt();
    }
    byte[] theirs = new byte[TOKEN_BYTES];
    hello.get(theirs);
    int peer = hello.getInt();
    if (!Arrays.equals(token, theirs) || peer <= rank || peer >= worldSize) {
      LOG.warn("turned a stranger away: {}", HexFormat.of().formatHex(theirs));
      channel.close();
      return;
    }
    tune(channel);
    channels.put(peer, channel);
  }

  private static void tune(SocketChannel channel) throws IOException {
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
  }
}
