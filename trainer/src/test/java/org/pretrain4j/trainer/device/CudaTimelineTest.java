package org.pretrain4j.trainer.device;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.pretrain4j.trainer.cuda.HostMemoryGpu;
import org.pretrain4j.trainer.model.Phase;
import org.pretrain4j.trainer.model.PhaseClock;

/** On a model of a GPU on which a second goes by from one recorded event to the next. */
final class CudaTimelineTest {
  @Test
  void phasesLastAsLongAsTheGpuTakesAndItsEventsAreUsedAgain() {
    HostMemoryGpu gpu = new HostMemoryGpu();
    try (PhaseClock clock = new PhaseClock(new CudaTimeline(gpu))) {
      int events = 0;
      for (int step = 0; step < 3; step++) {
        for (int microBatch = 0; microBatch < 2; microBatch++) {
          clock.start();
          clock.lap(Phase.EMBEDDING);
          clock.lap(Phase.FORWARD);
          clock.lap(Phase.HEAD);
          clock.lap(Phase.BACKWARD);
          clock.lap(Phase.EMBEDDING);
        }
        assertEquals(
            Map.of(Phase.EMBEDDING, 4.0, Phase.FORWARD, 2.0, Phase.HEAD, 2.0, Phase.BACKWARD, 2.0),
            clock.drain());
        events = step == 0 ? gpu.live() : events;
        assertEquals(events, gpu.live());
      }
      assertEquals(12, events);
      assertEquals(0.0, clock.drain().get(Phase.HEAD));
    }
    assertEquals(0, gpu.live());
  }
}
