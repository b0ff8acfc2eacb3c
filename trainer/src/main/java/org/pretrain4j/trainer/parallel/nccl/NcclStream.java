package org.pretrain4j.trainer.parallel.nccl;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.pretrain4j.trainer.cuda.Gpu;

/**
 * What a rank's collectives take of its GPU: a stream, events that are used again, and a little
 * memory. Closed once nothing runs in the stream any more.
 */
final class NcclStream implements AutoCloseable {
  private final Gpu gpu;
  private final List<Long> events = new ArrayList<>();
  private final Deque<Long> idle = new ArrayDeque<>();
  private final Set<Long> buffers = new HashSet<>();
  private final long stream;

  NcclStream(Gpu gpu) {
    this.gpu = gpu;
    gpu.use();
    stream = gpu.createStream();
  }

  long handle() {
    return stream;
  }

  /** An event that nothing waits for. */
  synchronized long takeEvent() {
    if (idle.isEmpty()) {
      long event = gpu.createEvent();
      events.add(event);
      return event;
    }
    return idle.pop();
  }

  synchronized void giveEvent(long event) {
    idle.push(event);
  }

  synchronized long allocate(long bytes) {
    long address = gpu.allocate(bytes);
    buffers.add(address);
    return address;
  }

  @Override
  public synchronized void close() {
    gpu.use();
    events.forEach(gpu::destroyEvent);
    gpu.destroyStream(stream);
    buffers.forEach(gpu::free);
  }
}
