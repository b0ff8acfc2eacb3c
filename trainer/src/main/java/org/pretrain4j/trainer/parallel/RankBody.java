package org.pretrain4j.trainer.parallel;

/** What one rank does. */
@FunctionalInterface
public interface RankBody {
  /**
   * Runs to the end with this rank's collectives, which the caller closes. A body that gives up
   * while a collective is pending calls {@link Collectives#abort} before it frees that collective's
   * buffers: other ranks may be reading them.
   */
  void run(Collectives collectives) throws Exception;
}
