package org.pretrain4j.trainer.cuda;

/**
 * How the threads of a block share rows. A group of whole warps works on a row; narrow rows have
 * several groups to a block, so that a multiprocessor has enough loads under way either way.
 *
 * @param groupThreads threads that work on one row, a multiple of a warp
 * @param groups of a block
 */
record RowGeometry(int groupThreads, int groups) {
  private static final int WANTED_THREADS = 256;
  private static final int MOST_THREADS = 512;

  /**
   * @param packs what a row is read in
   * @param each packs that a thread should have
   */
  static RowGeometry of(int packs, int each) {
    int threads = Math.ceilDiv(Math.ceilDiv(packs, each), Launches.WARP) * Launches.WARP;
    int group = Math.min(threads, MOST_THREADS);
    return new RowGeometry(group, Math.max(1, WANTED_THREADS / group));
  }

  int threads() {
    return groupThreads * groups;
  }

  long blocks(long rows) {
    return Math.ceilDiv(rows, groups);
  }

  /** Shared memory for sums over a group: two of a float for each warp, used in turns. */
  int sumBytes() {
    return 2 * Float.BYTES * threads() / Launches.WARP;
  }
}
