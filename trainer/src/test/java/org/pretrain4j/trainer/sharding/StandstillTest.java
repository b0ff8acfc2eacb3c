package org.pretrain4j.trainer.sharding;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.pretrain4j.trainer.cuda.HostMemoryGpu;
import org.pretrain4j.trainer.device.CudaTimeline;
import org.pretrain4j.trainer.model.Timeline;
import org.pretrain4j.trainer.parallel.Pending;

/** On a model of a GPU on which a second goes by from one recorded event to the next. */
final class StandstillTest {
  @Test
  void whatIsWaitedForWithinThePassesIsToldFromTheRest() {
    HostMemoryGpu gpu = new HostMemoryGpu();
    List<String> calls = new ArrayList<>();
    Pending pending =
        new Pending() {
          @Override
          public void await() {
            calls.add("await");
          }

          @Override
          public void follow() {
            calls.add("follow");
          }
        };
    try (Timeline timeline = new CudaTimeline(gpu)) {
      Standstill standstill = new Standstill(timeline);
      for (int step = 0; step < 3; step++) {
        standstill.follow(pending);
        standstill.follow(pending);
        standstill.passesEnd();
        standstill.follow(pending);
        Standstill.Waits waits = standstill.take();
        assertEquals(new Standstill.Waits(2, 1), waits);
        assertEquals(3, waits.seconds());
        assertEquals(6, gpu.live(), "events are used again");
      }
      assertEquals(new Standstill.Waits(0, 0), standstill.take());
      assertEquals(List.of("follow"), calls.stream().distinct().toList());
    }
    assertEquals(0, gpu.live());
  }
}
