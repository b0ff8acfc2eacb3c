package org.pretrain4j.trainer.parallel.tcp;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.locks.LockSupport;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * The connections of one rank to all others: for each a queue, and threads that send and receive.
 */
final class TcpLinks {
  private static final Logger LOG = LogManager.getLogger();
  private static final long GRACE_NANOS = 500_000_000;

  /** What happens on the connections; called by their threads. */
  interface Listener {
    /**
     * Says that bytes of a collective are about to be read from its buffer.
     *
     * @return false if they must not be touched any more
     */
    boolean beforeSending();

    /**
     * The bytes are not touched any more.
     *
     * @param sent whether they have left
     */
    void afterSending(TcpOperation operation, boolean sent);

    /** A frame has come, whose bytes are still in the channel. */
    void received(int peer, SocketChannel channel, Frame frame) throws IOException;

    /** A connection broke. */
    void lost(int peer, IOException cause);

    /** This rank itself cannot go on, for lack of memory or by a defect. */
    void broken(int peer, Throwable cause);
  }

  /** What a frame waits for in a peer's queue; without an operation it is the last. */
  private record Outgoing(Frame frame, MemorySegment bytes, TcpOperation operation) {}

  private final Map<Integer, SocketChannel> channels;
  private final Map<Integer, BlockingQueue<Outgoing>> queues = new TreeMap<>();
  private final List<Thread> senders = new ArrayList<>();
  private final Listener listener;

  TcpLinks(Map<Integer, SocketChannel> channels, Listener listener) {
    this.channels = channels;
    this.listener = listener;
  }

  void start() {
    channels.forEach(
        (peer, channel) -> {
          BlockingQueue<Outgoing> queue = new LinkedBlockingQueue<>();
          queues.put(peer, queue);
          senders.add(
              Thread.ofVirtual().name("send-" + peer).start(() -> send(peer, channel, queue)));
          Thread.ofVirtual().name("receive-" + peer).start(() -> receive(peer, channel));
        });
  }

  /** Sends bytes of a collective after what is in the queue already. */
  void send(int peer, Frame frame, MemorySegment bytes, TcpOperation operation) {
    queues.get(peer).add(new Outgoing(frame, bytes, operation));
  }

  /** Sends the last words to all. */
  void farewell(Frame frame) {
    queues.values().forEach(q -> q.add(new Outgoing(frame, MemorySegment.NULL, null)));
  }

  private void send(int peer, SocketChannel channel, BlockingQueue<Outgoing> queue) {
    try {
      while (true) {
        Outgoing next = queue.take();
        if (next.operation() == null) {
          next.frame().write(channel);
          channel.shutdownOutput();
          return;
        }
        if (!listener.beforeSending()) {
          continue;
        }
        boolean sent = false;
        try {
          next.frame().write(channel);
          Frame.write(channel, next.bytes());
          sent = true;
        } finally {
          listener.afterSending(next.operation(), sent);
        }
      }
    } catch (InterruptedException e) {
      LOG.trace("sender to rank {} ends", peer);
    } catch (IOException e) {
      // Its last words may be here already, and say more than a broken pipe.
      LockSupport.parkNanos(GRACE_NANOS);
      listener.lost(peer, e);
    } catch (Throwable e) { // a thread that ends without a word leaves all ranks waiting
      listener.broken(peer, e);
    }
  }

  private void receive(int peer, SocketChannel channel) {
    try {
      Frame frame;
      do {
        frame = Frame.read(channel);
        listener.received(peer, channel, frame);
      } while (frame.kind() == Frame.Kind.DATA);
    } catch (IOException e) {
      listener.lost(peer, e);
    } catch (Throwable e) { // as above
      listener.broken(peer, e);
    }
  }

  /** Waits for the last words to leave, then ends the connections. */
  void close(boolean failed) {
    for (Thread sender : senders) {
      try {
        sender.join(Duration.ofSeconds(1));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    if (failed) {
      // Closing with unread bytes would take the last words back.
      List<Thread> drains =
          channels.values().stream()
              .map(channel -> Thread.ofVirtual().start(() -> drain(channel)))
              .toList();
      long end = System.nanoTime() + 2 * GRACE_NANOS;
      while (drains.stream().anyMatch(Thread::isAlive) && System.nanoTime() < end) {
        LockSupport.parkNanos(1_000_000);
      }
    }
    disconnect();
  }

  private static void drain(SocketChannel channel) {
    ByteBuffer rest = ByteBuffer.allocate(1 << 16);
    try {
      while (channel.read(rest.clear()) >= 0) {
        LOG.trace("discarded {} bytes", rest.position());
      }
    } catch (IOException e) {
      LOG.trace("nothing more to read", e);
    }
  }

  /** Ends the connections at once. */
  void disconnect() {
    for (SocketChannel channel : channels.values()) {
      try {
        channel.close();
      } catch (IOException e) {
        LOG.debug("cannot close a connection", e);
      }
    }
  }
}
