package org.pretrain4j.trainer.sharding;

import ai.djl.ndarray.NDManager;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Pending;

/**
 * This rank's shard of the gradients, and room for the few buckets that are being filled or under
 * way: each is reduced in every micro-batch, added to the shard, and its room is used again.
 *
 * <p>With one micro-batch a step the sums have the bits of {@link AccumulatedGradients}; with more,
 * they are added in another order: over the ranks first, then over the micro-batches.
 */
final class ShardedGradients extends GradientBuffer {
  /** Room for buckets that come and go: one is filled while the one before it travels. */
  private static final int ROOMS = 2;

  /** The buckets of the same parts of the model; contiguous, so that a parameter is, too. */
  record Group(int part, List<Bucket> buckets) {
    long storageStart() {
      return buckets.getFirst().storageStart();
    }

    /** Elements of its storage, padding included. */
    long elements(int worldSize) {
      return buckets.stream().mapToLong(Bucket::chunk).sum() * worldSize;
    }
  }

  /** A reduction under way, and what adds its result to the shard. */
  private record Reduction(Pending pending, Runnable then) {}

  /** Memory for one group at a time. */
  private final class Room {
    private final Tensor values;
    private final List<Reduction> underWay = new ArrayList<>();
    private Group group;

    Room(NDManager manager, long elements) {
      values = Tensor.zeros(manager, ScalarType.FLOAT32, elements);
    }

    /** Puts what comes next behind all that reads or writes this memory. */
    void settle() {
      for (Reduction reduction : underWay) {
        follow(reduction.pending());
        reduction.then().run();
      }
      if (!underWay.isEmpty()) {
        // Meanwhile the device has what was queued between that one and these.
        followed.await();
        followed = underWay.getLast().pending();
      }
      underWay.clear();
      group = null;
    }

    FlatBuffer slice(long start, long elements) {
      return floats(values, start, elements);
    }
  }

  private final Buckets buckets;
  private final Collectives collectives;
  private final ShardOperators operators;
  private final int mostPasses;
  private final List<Group> groups;
  private final Tensor shard;
  private final Room first;
  private final Deque<Room> others = new ArrayDeque<>();
  private Pending followed = Pending.COMPLETE;
  private Pending last = Pending.COMPLETE;
  private int pass;

  ShardedGradients(
      NDManager manager,
      Buckets buckets,
      Collectives collectives,
      int mostPasses,
      ShardOperators operators,
      Standstill standstill) {
    super(manager, operators, standstill);
    this.buckets = buckets;
    this.collectives = collectives;
    this.operators = operators;
    this.mostPasses = mostPasses;
    this.groups = groups(buckets);
    this.shard = Tensor.zeros(manager, ScalarType.FLOAT32, buckets.shardElements());
    // The embedding's gradient begins in the head, if they are tied, and ends last.
    this.first = new Room(manager, groups.getFirst().elements(buckets.worldSize()));
    for (int i = 0; i < roomsOf(groups); i++) {
      others.add(new Room(manager, largestOther(groups, buckets.worldSize())));
    }
  }

  /** The groups in the order of the flat space. */
  private static List<Group> groups(Buckets buckets) {
    List<Group> groups = new ArrayList<>();
    for (Bucket bucket : buckets.buckets()) {
      if (groups.isEmpty() || groups.getLast().part() != bucket.readyPart()) {
        groups.add(new Group(bucket.readyPart(), new ArrayList<>()));
      }
      groups.getLast().buckets().add(bucket);
    }
    return groups;
  }

  private static int roomsOf(List<Group> groups) {
    return Math.min(ROOMS, groups.size() - 1);
  }

  private static long largestOther(List<Group> groups, int worldSize) {
    return groups.stream().skip(1).mapToLong(group -> group.elements(worldSize)).max().orElse(0);
  }

  /** Elements of all memory of such a buffer: the shard, and the rooms. */
  static long elements(Buckets buckets) {
    List<Group> groups = groups(buckets);
    return buckets.shardElements()
        + groups.getFirst().elements(buckets.worldSize())
        + roomsOf(groups) * largestOther(groups, buckets.worldSize());
  }

  private static FlatBuffer floats(Tensor values, long start, long elements) {
    return TensorMemory.of(values).slice(start, elements);
  }

  @Override
  public void startStep(int passes) {
    forgetSums();
    pass = 0;
  }

  @Override
  public void partDone(int part) {
    groups.stream()
        .filter(group -> group.part() == part)
        .forEach(group -> reduce(group, roomOf(group)));
    if (part == 0) {
      pass++;
      forgetSums();
    }
  }

  @Override
  public void finishStep() {
    passesEnd();
    for (; pass < mostPasses; pass++) {
      for (Group group : groups.reversed()) {
        Room room = roomOf(group);
        room.values.zero();
        reduce(group, room);
      }
    }
    first.settle();
    others.forEach(Room::settle);
    last.await(); // and so all: they end in their order
  }

  @Override
  Tensor sum(NDManager views, FlatLayout.Entry parameter) {
    Group group = groupOf(parameter.offset());
    long[] sizes = parameter.shape().stream().mapToLong(Long::longValue).toArray();
    long offset = buckets.storageOffset(parameter.offset()) - group.storageStart();
    return roomOf(group).values.view(views, offset, sizes);
  }

  private Group groupOf(long flat) {
    for (Group group : groups.reversed()) {
      if (group.buckets().getFirst().range().start() <= flat) {
        return group;
      }
    }
    throw new IllegalArgumentException("there is no parameter at " + flat);
  }

  /** The room that holds the group now, or the one that was used longest ago. */
  private Room roomOf(Group group) {
    if (group == groups.getFirst()) {
      return take(first, group);
    }
    for (Room room : others) {
      if (room.group == group && room.underWay.isEmpty()) {
        return room;
      }
    }
    Room oldest = others.removeFirst();
    others.addLast(oldest);
    return take(oldest, group);
  }

  private static Room take(Room room, Group group) {
    if (room.group != group || !room.underWay.isEmpty()) {
      room.settle();
      room.group = group;
    }
    return room;
  }

  private void reduce(Group group, Room room) {
    for (Bucket bucket : group.buckets().reversed()) {
      long start = bucket.storageStart() - group.storageStart();
      FlatBuffer all = room.slice(start, bucket.chunk() * buckets.worldSize());
      FlatBuffer own = own(bucket);
      if (pass == 0) {
        last = collectives.reduceScatter(all, own);
        room.underWay.add(new Reduction(last, () -> {}));
      } else {
        FlatBuffer part = all.slice(collectives.rank() * bucket.chunk(), bucket.chunk());
        last = collectives.reduceScatter(all, part);
        room.underWay.add(new Reduction(last, () -> operators.add(own, part)));
      }
    }
  }

  @Override
  FlatBuffer own(Bucket bucket) {
    // A rank's chunks follow each other as the buckets do.
    return floats(shard, bucket.storageStart() / buckets.worldSize(), bucket.chunk());
  }
}
