package org.pretrain4j.trainer.fused;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.trainer.cuda.Gpu;
import org.pretrain4j.trainer.cuda.GpuDriver;
import org.pretrain4j.trainer.cuda.TokenGroups;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.MicroBatch;

/**
 * Takes the integers of each micro-batch to the GPU: its tokens, its targets, where each token
 * stands, and where documents begin. They go in one copy out of one of two pinned buffers in turn,
 * queued on the default stream behind the kernels of the micro-batches before. The host fills a
 * buffer again once its last copy is done, that of the micro-batch before the last one: so it runs
 * ahead of the GPU by two micro-batches at most, and where it waits, the GPU has these two to
 * compute.
 */
final class BatchStaging implements AutoCloseable {
  private static final int BUFFERS = 2;

  /** Inputs, targets, positions; and at most as many groups, their starts, and documents. */
  private static final int ARRAYS = 6;

  /** Each array begins at a multiple of 16 bytes. */
  private static final int ALIGNMENT = 4;

  private final NDManager manager;
  private final GpuDriver gpu;
  private final int vocabSize;
  private final int[] counts;
  private final List<Buffer> buffers = new ArrayList<>();
  private int turn;
  private Tensor device;
  private int end;
  private int targets;
  private TokenGroups.OnDevice groups;
  private Tensor cumulativeLengths;
  private int longestDocument;

  /** Pinned memory, and the event after which it may be written again. */
  private record Buffer(MemorySegment memory, long copied) {}

  /**
   * @param manager of the GPU; owns the memory there
   */
  BatchStaging(NDManager manager, GpuDriver gpu, int vocabSize) {
    this.manager = manager;
    this.gpu = gpu;
    this.vocabSize = vocabSize;
    this.counts = new int[vocabSize];
  }

  /**
   * Queues the copy of a micro-batch; what was said of the one before is forgotten.
   *
   * @throws IllegalArgumentException if a token or a target is outside of the vocabulary
   */
  void begin(MicroBatch batch) {
    int[] inputs = batch.flatInputs();
    int[] wanted = batch.flatTargets();
    check(wanted);
    TokenGroups where = TokenGroups.of(inputs, counts);
    int[] documents = cumulativeLengths(batch);
    reserve(ARRAYS * (inputs.length + 2 * ALIGNMENT));

    Buffer buffer = buffers.get(turn);
    turn = (turn + 1) % BUFFERS;
    gpu.await(buffer.copied);
    end = 0;
    put(buffer, inputs);
    targets = put(buffer, wanted);
    int tokens = put(buffer, where.tokens());
    int starts = put(buffer, where.starts());
    int positions = put(buffer, where.positions());
    int lengths = put(buffer, documents);
    MemorySegment used = buffer.memory.asSlice(0, (long) end * Integer.BYTES);
    gpu.copyToGpu(device.address(), used, Gpu.DEFAULT_STREAM);
    gpu.record(buffer.copied, Gpu.DEFAULT_STREAM);

    groups =
        new TokenGroups.OnDevice(
            where.tokens().length, address(tokens), address(starts), address(positions));
    if (cumulativeLengths != null) {
      cumulativeLengths.close();
    }
    cumulativeLengths = device.view(manager, lengths, documents.length);
  }

  private void check(int[] wanted) {
    for (int target : wanted) {
      if (target != MicroBatch.MASKED && (target < 0 || target >= vocabSize)) {
        throw new IllegalArgumentException(
            "target " + target + " in a vocabulary of " + vocabSize + " tokens");
      }
    }
  }

  /** Where each document of the flattened rows begins, and the end; notes the longest. */
  private int[] cumulativeLengths(MicroBatch batch) {
    List<Integer> starts = new ArrayList<>();
    for (int row = 0; row < batch.rows(); row++) {
      int first = row * batch.sequenceLength();
      starts.add(first);
      for (int start : batch.documentStarts().get(row)) {
        starts.add(first + start);
      }
    }
    starts.add(batch.rows() * batch.sequenceLength());
    longestDocument = 0;
    for (int i = 1; i < starts.size(); i++) {
      longestDocument = Math.max(longestDocument, starts.get(i) - starts.get(i - 1));
    }
    return starts.stream().mapToInt(Integer::intValue).toArray();
  }

  private void reserve(int elements) {
    if (device != null && device.elements() >= elements) {
      return;
    }
    free();
    device = Tensor.empty(manager, ScalarType.INT32, elements);
    for (int i = 0; i < BUFFERS; i++) {
      MemorySegment memory = gpu.allocatePinned((long) elements * Integer.BYTES);
      buffers.add(new Buffer(memory, gpu.createEvent()));
    }
  }

  private int put(Buffer buffer, int[] values) {
    int start = end;
    long offset = (long) start * Integer.BYTES;
    MemorySegment.copy(values, 0, buffer.memory, ValueLayout.JAVA_INT, offset, values.length);
    end += Math.ceilDiv(values.length, ALIGNMENT) * ALIGNMENT;
    return start;
  }

  private long address(int element) {
    return device.address() + (long) element * Integer.BYTES;
  }

  /** Address of the inputs: int32 [tokens]. */
  long tokens() {
    return address(0);
  }

  /** Address of the targets from one on: int32. */
  long targets(int from) {
    return address(targets + from);
  }

  /** Where each input token stands. */
  TokenGroups.OnDevice groups() {
    return groups;
  }

  /** int32 {@code [documents + 1]}. */
  Tensor cumulativeLengths() {
    return cumulativeLengths;
  }

  /** In tokens. */
  int longestDocument() {
    return longestDocument;
  }

  private void free() {
    if (cumulativeLengths != null) {
      cumulativeLengths.close();
      cumulativeLengths = null;
    }
    if (device != null) {
      device.close();
      device = null;
    }
    for (Buffer buffer : buffers) {
      gpu.await(buffer.copied);
      gpu.freePinned(buffer.memory);
      gpu.destroyEvent(buffer.copied);
    }
    buffers.clear();
  }

  @Override
  public void close() {
    free();
  }
}
