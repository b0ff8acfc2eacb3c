package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.function.Function;
import org.pretrain4j.trainer.cuda.EmulatedLauncher.Order;

/** Runs kernels with threads and blocks in each order: a right kernel gives the same bits. */
final class InEachOrder {
  private InEachOrder() {}

  /**
   * What the kernels give.
   *
   * @param run starts kernels on memory of its own and returns what they wrote
   */
  static List<DeviceMemory> run(Function<KernelLauncher, List<DeviceMemory>> run) {
    List<DeviceMemory> first = run.apply(new EmulatedLauncher(Order.ASCENDING));
    for (Order order : List.of(Order.DESCENDING, Order.SHUFFLED)) {
      List<DeviceMemory> other = run.apply(new EmulatedLauncher(order));
      for (int i = 0; i < first.size(); i++) {
        assertEquals(
            -1, first.get(i).memory().mismatch(other.get(i).memory()), order + ", result " + i);
      }
    }
    return first;
  }
}
