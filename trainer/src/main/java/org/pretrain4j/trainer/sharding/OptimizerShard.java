package org.pretrain4j.trainer.sharding;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.checkpoints.StateSource;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.ParameterInitializer;
import org.pretrain4j.trainer.optim.AdamWSettings;
import org.pretrain4j.trainer.optim.ParameterGroups;
import org.pretrain4j.trainer.optim.WeightDecayRange;
import org.pretrain4j.trainer.parallel.Collectives;
import org.pretrain4j.trainer.parallel.FlatBuffer;
import org.pretrain4j.trainer.parallel.Pending;

/**
 * What one rank owns of the optimizer's state: the float32 master weights and both moments of its
 * ranges, packed in their order, so that it shrinks as the world grows.
 */
public final class OptimizerShard {
  /** float32 master weight and both moments. */
  public static final int BYTES_PER_PARAMETER = 3 * Float.BYTES;

  /** Names of the kinds of values in checkpoints. */
  public static final String MASTER = "master";

  public static final String EXP_AVG = "exp_avg";
  public static final String EXP_AVG_SQ = "exp_avg_sq";

  private record Piece(Bucket bucket, FlatRange range, long packedStart) {}

  private final int rank;
  private final Buckets buckets;
  private final List<FlatRange> ranges;
  private final List<Piece> pieces = new ArrayList<>();
  private final Map<String, Tensor> kinds = new LinkedHashMap<>();
  private final NDManager manager;
  private final ShardOperators operators;

  /**
   * State of zeros.
   *
   * @param manager owns the memory
   * @param operators of the manager's device
   */
  public OptimizerShard(NDManager manager, Buckets buckets, int rank, ShardOperators operators) {
    this.manager = manager;
    this.operators = operators;
    this.rank = rank;
    this.buckets = buckets;
    this.ranges = buckets.rangesOf(rank);
    long packed = 0;
    for (Bucket bucket : buckets.buckets()) {
      FlatRange range = bucket.ownedBy(rank);
      if (range.length() > 0) {
        pieces.add(new Piece(bucket, range, packed));
        packed += range.length();
      }
    }
    for (String kind : List.of(MASTER, EXP_AVG, EXP_AVG_SQ)) {
      kinds.put(kind, Tensor.zeros(manager, ScalarType.FLOAT32, packed));
    }
  }

  /** The ranges of the flat space that this rank owns, in the order in which they are packed. */
  public List<FlatRange> ranges() {
    return ranges;
  }

  /**
   * The packed values of each kind, float32, of a shard in the host's memory; updates change them.
   */
  public Map<String, MemorySegment> values() {
    Map<String, MemorySegment> values = new LinkedHashMap<>();
    kinds.forEach((kind, tensor) -> values.put(kind, tensor.segment()));
    return values;
  }

  /** The same values, to be copied out by a save. */
  public Map<String, StateSource> sources() {
    Map<String, StateSource> sources = new LinkedHashMap<>();
    kinds.forEach((kind, tensor) -> sources.put(kind, operators.source(TensorMemory.of(tensor))));
    return sources;
  }

  /** First values of a new run. */
  public void initialize(ParameterInitializer initializer) {
    for (Piece piece : pieces) {
      operators.fill(slice(MASTER, piece), memory -> initializer.fill(piece.range, memory));
    }
  }

  /** Values of a checkpoint, whatever the world size that wrote it. */
  public void load(Checkpoint checkpoint) {
    for (Piece piece : pieces) {
      for (String kind : kinds.keySet()) {
        operators.fill(slice(kind, piece), memory -> checkpoint.read(kind, piece.range, memory));
      }
    }
  }

  /** Sum of the squares of this rank's reduced gradients; not finite if one of them is not. */
  public double sumOfSquares(GradientBuffer gradients) {
    return operators.sumOfSquares(
        pieces.stream().map(piece -> gradient(piece, gradients)).toList());
  }

  /** Makes one of this rank's reduced gradients NaN: a fault on purpose. */
  public void injectNan(GradientBuffer gradients) {
    operators.fill(
        gradient(pieces.getFirst(), gradients).slice(0, 1),
        memory -> memory.set(ValueLayout.JAVA_FLOAT, 0, Float.NaN));
  }

  /**
   * One update of this rank's parameters; in bfloat16 the rounded ones go straight to the weights.
   * A bucket begins to travel to all ranks as soon as this rank's part of it is updated, while the
   * ones after it still are.
   *
   * @param update number of this update, counted from 1
   * @param gradientScale what the summed gradients are multiplied by
   * @return to be waited for before the weights are read
   */
  public Pending update(
      AdamWSettings adamW,
      ParameterGroups groups,
      GradientBuffer gradients,
      ParameterBuffer weights,
      Collectives collectives,
      long update,
      double learningRate,
      double gradientScale) {
    List<Pending> underWay = new ArrayList<>();
    Iterator<Piece> owned = pieces.iterator();
    Piece next = owned.hasNext() ? owned.next() : null;
    for (Bucket bucket : buckets.buckets()) {
      // There may be nothing but padding in this rank's part of it.
      if (next != null && next.bucket == bucket) {
        update(next, adamW, groups, gradients, weights, update, learningRate, gradientScale);
        next = owned.hasNext() ? owned.next() : null;
      }
      underWay.add(gather(bucket, weights, collectives));
    }
    return Pending.all(underWay);
  }

  private void update(
      Piece piece,
      AdamWSettings adamW,
      ParameterGroups groups,
      GradientBuffer gradients,
      ParameterBuffer weights,
      long update,
      double learningRate,
      double gradientScale) {
    boolean rounds = weights.type() == ScalarType.BFLOAT16;
    ShardOperators.State state =
        new ShardOperators.State(
            slice(MASTER, piece),
            slice(EXP_AVG, piece),
            slice(EXP_AVG_SQ, piece),
            gradient(piece, gradients),
            rounds ? Optional.of(owned(weights, piece)) : Optional.empty());
    List<WeightDecayRange> decays = groups.decays(List.of(piece.range));
    operators.update(adamW, state, decays, update, learningRate, gradientScale);
    if (!rounds) {
      roundInto(weights, piece);
    }
  }

  /** Rounds the master weights of this rank into its chunks of the weights. */
  public void roundInto(ParameterBuffer weights) {
    pieces.forEach(piece -> roundInto(weights, piece));
  }

  private void roundInto(ParameterBuffer weights, Piece piece) {
    long start = piece.bucket.storageStart() + rank * piece.bucket.chunk();
    long length = piece.range.length();
    try (Tensor target = weights.tensor().view(manager, start, length);
        Tensor source = kinds.get(MASTER).view(manager, piece.packedStart, length)) {
      target.copyFrom(source);
    }
  }

  /** Gives every rank all weights, from the chunks that each one owns. */
  public static void gather(ParameterBuffer weights, Buckets buckets, Collectives collectives) {
    List<Pending> underWay = new ArrayList<>();
    for (Bucket bucket : buckets.buckets()) {
      underWay.add(gather(bucket, weights, collectives));
    }
    Pending.all(underWay).await();
  }

  private static Pending gather(Bucket bucket, ParameterBuffer weights, Collectives collectives) {
    return collectives.allGather(weights.chunk(bucket, collectives.rank()), weights.bucket(bucket));
  }

  private FlatBuffer slice(String kind, Piece piece) {
    return TensorMemory.of(kinds.get(kind)).slice(piece.packedStart, piece.range.length());
  }

  private static FlatBuffer gradient(Piece piece, GradientBuffer gradients) {
    return gradients.own(piece.bucket).slice(0, piece.range.length());
  }

  private FlatBuffer owned(ParameterBuffer weights, Piece piece) {
    return weights.chunk(piece.bucket, rank).slice(0, piece.range.length());
  }
}
