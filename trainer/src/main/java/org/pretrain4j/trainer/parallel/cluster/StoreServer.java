package org.pretrain4j.trainer.parallel.cluster;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Rank 0's side of a {@link TcpStore}: a virtual thread for each connection. */
final class StoreServer implements AutoCloseable {
  /** First bytes of a connection, so that strangers are turned away. */
  static final int MAGIC = 0x70346a31;

  static final int MAX_VALUE = 1 << 24;

  /** What a client asks. */
  enum Request {
    SET,
    SET_IF_ABSENT,
    GET,
    LIST,
    BEQUEATH,
    GOODBYE
  }

  /** What a client leaves if it goes without a goodbye. */
  private record Legacy(String key, byte[] value) {}

  private static final Logger LOG = LogManager.getLogger();

  private final String run;
  private final ServerSocket server;
  private final Set<Socket> connections = ConcurrentHashMap.newKeySet();
  private final Map<Socket, Legacy> legacies = new ConcurrentHashMap<>();
  private final ConcurrentSkipListMap<String, byte[]> values = new ConcurrentSkipListMap<>();

  /**
   * Listens on all addresses.
   *
   * @param run clients of another run are turned away
   * @param port 0 for any
   */
  StoreServer(String run, int port) throws IOException {
    this.run = run;
    server = new ServerSocket();
    server.setReuseAddress(true);
    try {
      server.bind(new InetSocketAddress(port), 1024);
    } catch (IOException e) {
      server.close();
      throw e;
    }
    Thread.ofPlatform().daemon().name("rendezvous").start(this::accept);
  }

  int port() {
    return server.getLocalPort();
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket socket = server.accept();
        connections.add(socket);
        Thread.ofVirtual().name("rendezvous-client").start(() -> serve(socket));
      } catch (IOException e) {
        if (!server.isClosed()) {
          LOG.warn("the rendezvous cannot accept a connection: {}", e.toString());
        }
      }
    }
  }

  private void serve(Socket socket) {
    try (socket) {
      socket.setTcpNoDelay(true);
      DataInputStream in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
      DataOutputStream out =
          new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
      if (in.readInt() != MAGIC) {
        return;
      }
      in.readUTF(); // the client's run; it compares itself, to report the difference
      out.writeInt(MAGIC);
      out.writeUTF(run);
      out.flush();
      while (true) {
        answer(socket, in, out);
        out.flush();
      }
    } catch (EOFException e) {
      LOG.trace("a client of the rendezvous has gone", e);
    } catch (IOException e) {
      LOG.debug("a connection of the rendezvous broke", e);
    } finally {
      connections.remove(socket);
      Legacy legacy = legacies.remove(socket);
      if (legacy != null) {
        values.putIfAbsent(legacy.key(), legacy.value());
      }
    }
  }

  private void answer(Socket client, DataInputStream in, DataOutputStream out) throws IOException {
    int code = in.readByte();
    if (code < 0 || code >= Request.values().length) {
      throw new IOException("unknown request " + code);
    }
    String key = in.readUTF();
    switch (Request.values()[code]) {
      case SET -> {
        values.put(key, readValue(in));
        out.writeBoolean(true);
      }
      case SET_IF_ABSENT -> {
        byte[] value = readValue(in);
        byte[] before = values.putIfAbsent(key, value);
        writeValue(out, before == null ? value : before);
      }
      case GET -> {
        byte[] value = values.get(key);
        out.writeBoolean(value != null);
        if (value != null) {
          writeValue(out, value);
        }
      }
      case BEQUEATH -> {
        legacies.put(client, new Legacy(key, readValue(in)));
        out.writeBoolean(true);
      }
      case GOODBYE -> {
        legacies.remove(client);
        out.writeBoolean(true);
      }
      case LIST -> {
        Map<String, byte[]> matching = values.subMap(key, key + Character.MAX_VALUE);
        Map<String, byte[]> copy = Map.copyOf(matching);
        out.writeInt(copy.size());
        for (Map.Entry<String, byte[]> entry : copy.entrySet()) {
          out.writeUTF(entry.getKey());
          writeValue(out, entry.getValue());
        }
      }
    }
  }

  static byte[] readValue(DataInputStream in) throws IOException {
    int length = in.readInt();
    if (length < 0 || length > MAX_VALUE) {
      throw new IOException("a value of " + length + " bytes");
    }
    byte[] value = new byte[length];
    in.readFully(value);
    return value;
  }

  static void writeValue(DataOutputStream out, byte[] value) throws IOException {
    out.writeInt(value.length);
    out.write(value);
  }

  @Override
  public void close() throws IOException {
    server.close();
    for (Socket socket : connections) {
      socket.close();
    }
  }
}
