package org.pretrain4j.trainer.parallel.nccl;

/** ncclResult_t, in the order of its values. */
enum NcclResult {
  SUCCESS("success"),
  UNHANDLED_CUDA_ERROR("a CUDA call failed"),
  SYSTEM_ERROR("a system call failed, often the network"),
  INTERNAL_ERROR("an internal error of NCCL, or memory that was overwritten"),
  INVALID_ARGUMENT("an invalid argument"),
  INVALID_USAGE("an invalid use of NCCL"),
  REMOTE_ERROR("a peer failed or its connection broke"),
  IN_PROGRESS("still in progress");

  private final String meaning;

  NcclResult(String meaning) {
    this.meaning = meaning;
  }

  static String describe(int code) {
    return code >= 0 && code < values().length
        ? "%s (%s, %d)".formatted(values()[code].meaning, values()[code], code)
        : "error " + code;
  }
}
