package org.pretrain4j.trainer.parallel.tcp;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.RankSum;
import org.pretrain4j.trainer.parallel.Reduction;
import org.pretrain4j.trainer.parallel.tcp.TcpOperation.Stage;

/** Which bytes go where in each collective, and what each rank computes. */
final class TcpPlan {
  /** Up to this many bytes of all ranks together, one exchange is quicker than two. */
  private static final long SMALL = 64 * 1024;

  private final int rank;
  private final int worldSize;
  private final EarlyFrames rooms;

  /**
   * @param rooms that the other ranks' values are received in
   */
  TcpPlan(int rank, int worldSize, EarlyFrames rooms) {
    this.rank = rank;
    this.worldSize = worldSize;
    this.rooms = rooms;
  }

  /** Every rank reduces its part of all inputs. */
  List<Stage> reduceScatter(long sequence, FlatBuffer input, FlatBuffer output) {
    long part = output.elements();
    FlatBuffer[] parts = new FlatBuffer[worldSize];
    for (int peer = 0; peer < worldSize; peer++) {
      parts[peer] = input.slice(peer * part, part);
    }
    return List.of(reduction(sequence, parts, output, Reduction.SUM));
  }

  List<Stage> allReduce(long sequence, FlatBuffer buffer, Reduction reduction) {
    FlatBuffer[] parts = new FlatBuffer[worldSize];
    if (buffer.bytes() * worldSize <= SMALL) {
      java.util.Arrays.fill(parts, buffer);
      return List.of(reduction(sequence, parts, buffer, reduction));
    }
    for (int peer = 0; peer < worldSize; peer++) {
      long start = buffer.elements() * peer / worldSize;
      long end = buffer.elements() * (peer + 1) / worldSize;
      parts[peer] = buffer.slice(start, end - start);
    }
    Map<Integer, MemorySegment> sends = new HashMap<>();
    Map<Integer, MemorySegment> receives = new HashMap<>();
    for (int peer = 0; peer < worldSize; peer++) {
      if (peer != rank) {
        sends.put(peer, parts[rank].segment());
        receives.put(peer, parts[peer].segment());
      }
    }
    List<Stage> stages = new ArrayList<>();
    stages.add(reduction(sequence, parts, parts[rank], reduction));
    stages.add(new Stage(sends, receives, () -> {}, List.of()));
    return stages;
  }

  /** Sends each rank its part of this rank's values, and reduces this rank's part of all. */
  private Stage reduction(
      long sequence, FlatBuffer[] parts, FlatBuffer output, Reduction reduction) {
    Map<Integer, MemorySegment> sends = new HashMap<>();
    Map<Integer, MemorySegment> receives = new HashMap<>();
    FlatBuffer[] inputs = new FlatBuffer[worldSize];
    List<MemorySegment> scratch = new ArrayList<>();
    for (int peer = 0; peer < worldSize; peer++) {
      if (peer == rank) {
        inputs[peer] = parts[rank];
        continue;
      }
      MemorySegment taken = rooms.roomFor(sequence, peer, output.bytes());
      scratch.add(taken);
      MemorySegment received = taken.asSlice(0, output.bytes());
      sends.put(peer, parts[peer].segment());
      receives.put(peer, received);
      inputs[peer] = new FlatBuffer(received.address(), output.elements(), output.type());
    }
    FlatBuffer[] outputs = {output};
    return new Stage(
        sends,
        receives,
        () -> {
          if (output.elements() > 0) {
            new RankSum(output.type(), output.elements())
                .reduce(inputs, 0, outputs, 0, output.elements(), reduction);
          }
        },
        scratch);
  }

  /** Every rank sends all others its bytes; they lie in the order of ranks. */
  List<Stage> allGather(MemorySegment input, MemorySegment output) {
    Map<Integer, MemorySegment> sends = new HashMap<>();
    Map<Integer, MemorySegment> receives = new HashMap<>();
    long bytes = input.byteSize();
    for (int peer = 0; peer < worldSize; peer++) {
      if (peer != rank) {
        sends.put(peer, input);
        receives.put(peer, output.asSlice(peer * bytes, bytes));
      }
    }
    MemorySegment mine = output.asSlice(rank * bytes, bytes);
    return List.of(
        new Stage(
            sends,
            receives,
            () -> {
              if (mine.address() != input.address()) {
                mine.copyFrom(input);
              }
            },
            List.of()));
  }

  List<Stage> broadcast(MemorySegment bytes, int root) {
    Map<Integer, MemorySegment> sends = new HashMap<>();
    for (int peer = 0; rank == root && peer < worldSize; peer++) {
      if (peer != root) {
        sends.put(peer, bytes);
      }
    }
    Map<Integer, MemorySegment> receives = rank == root ? Map.of() : Map.of(root, bytes);
    return List.of(new Stage(sends, receives, () -> {}, List.of()));
  }
}
