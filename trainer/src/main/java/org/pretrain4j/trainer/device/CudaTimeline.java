package org.pretrain4j.trainer.device;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.pretrain4j.trainer.cuda.Gpu;
import org.pretrain4j.trainer.cuda.GpuDriver;
import org.pretrain4j.trainer.model.Timeline;

/** Events in a GPU's default stream, which are used again. */
public final class CudaTimeline implements Timeline {
  private final GpuDriver gpu;
  private final List<Long> events = new ArrayList<>();
  private final Deque<Long> idle = new ArrayDeque<>();

  public CudaTimeline(GpuDriver gpu) {
    this.gpu = gpu;
  }

  @Override
  public long mark() {
    if (idle.isEmpty()) {
      long event = gpu.createTimingEvent();
      events.add(event);
      idle.push(event);
    }
    long event = idle.pop();
    gpu.record(event, Gpu.DEFAULT_STREAM);
    return event;
  }

  @Override
  public double seconds(long from, long to) {
    gpu.await(to);
    return gpu.secondsBetween(from, to);
  }

  @Override
  public void forget(long mark) {
    idle.push(mark);
  }

  @Override
  public void close() {
    events.forEach(gpu::destroyEvent);
    events.clear();
    idle.clear();
  }
}
