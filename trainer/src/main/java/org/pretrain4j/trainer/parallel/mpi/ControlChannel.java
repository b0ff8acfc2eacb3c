package org.pretrain4j.trainer.parallel.mpi;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import org.pretrain4j.trainer.parallel.ScratchPool;

/**
 * Messages between ranks on a communicator of their own. Guarded by the lock of {@link
 * MpiCollectives}.
 */
final class ControlChannel {
  private record Sending(MemorySegment message, MemorySegment request) {}

  private final OpenMpi mpi;
  private final int rank;
  private final int worldSize;
  private final MemorySegment communicator;
  private final ScratchPool pool = new ScratchPool();
  private final List<Sending> sending = new ArrayList<>();
  private final MemorySegment incoming = pool.take(ControlMessage.BYTES);
  private final MemorySegment receiving = pool.take(8);

  ControlChannel(OpenMpi mpi, int rank, int worldSize) {
    this.mpi = mpi;
    this.rank = rank;
    this.worldSize = worldSize;
    communicator = mpi.duplicate(mpi.world());
    mpi.receiveAny(incoming, ControlMessage.BYTES, communicator, receiving);
  }

  void send(int to, ControlMessage message) {
    Sending next = new Sending(pool.take(ControlMessage.BYTES), pool.take(8));
    message.write(next.message());
    mpi.send(next.message(), ControlMessage.BYTES, to, communicator, next.request());
    sending.add(next);
  }

  void sendAll(ControlMessage message) {
    for (int other = 0; other < worldSize; other++) {
      if (other != rank) {
        send(other, message);
      }
    }
  }

  /** The next message, if one has come. */
  Optional<ControlMessage> receive() {
    if (!mpi.test(receiving)) {
      return Optional.empty();
    }
    ControlMessage message = ControlMessage.read(incoming);
    mpi.receiveAny(incoming, ControlMessage.BYTES, communicator, receiving);
    return Optional.of(message);
  }

  /** Whether all messages have left. */
  boolean isFlushed() {
    for (Iterator<Sending> i = sending.iterator(); i.hasNext(); ) {
      Sending next = i.next();
      if (mpi.test(next.request())) {
        pool.give(next.message());
        pool.give(next.request());
        i.remove();
      }
    }
    return sending.isEmpty();
  }
}
