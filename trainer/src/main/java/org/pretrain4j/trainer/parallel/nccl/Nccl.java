package org.pretrain4j.trainer.parallel.nccl;

/**
 * The functions of nccl.h that are used here. Handles are addresses; each function returns a result
 * code of {@link NcclResult}.
 */
interface Nccl {
  /** Size in bytes of a unique id. */
  int UNIQUE_ID_BYTES = 128;

  /** ncclFloat32. */
  int FLOAT32 = 7;

  /** ncclBfloat16. */
  int BFLOAT16 = 9;

  /** ncclSum. */
  int SUM = 0;

  /** ncclMax. */
  int MAX = 2;

  /** Such as 22703 for 2.27.3. */
  int version();

  /** A new id, for all ranks of one communicator. */
  byte[] uniqueId();

  /** A communicator in the making; ask {@link #asyncError} when it is ready. */
  long initialize(int worldSize, byte[] uniqueId, int rank);

  int asyncError(long communicator);

  int allReduce(
      long send, long receive, long count, int type, int reduction, long communicator, long stream);

  int reduceScatter(
      long send, long receive, long receiveCount, int type, int reduction, long comm, long stream);

  int allGather(long send, long receive, long sendCount, int type, long communicator, long stream);

  int broadcast(
      long send, long receive, long count, int type, int root, long communicator, long stream);

  int groupStart();

  int groupEnd();

  int finish(long communicator);

  int destroy(long communicator);

  int abort(long communicator);

  /** What NCCL says about its last error. */
  String lastError(long communicator);
}
