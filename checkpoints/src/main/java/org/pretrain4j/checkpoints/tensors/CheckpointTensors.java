package org.pretrain4j.checkpoints.tensors;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.configuration.UserException;

/** The fp32 master weights of a checkpoint; every block is verified as it is read. */
public final class CheckpointTensors implements TensorSource {
  /** The kind of values that are the weights. */
  public static final String MASTER = "master";

  private final Checkpoint checkpoint;
  private final Map<String, FlatLayout.Entry> entries = new LinkedHashMap<>();

  /**
   * The weights of a checkpoint.
   *
   * @throws UserException if it holds none
   */
  public CheckpointTensors(Checkpoint checkpoint) {
    if (!checkpoint.kinds().contains(MASTER)) {
      throw new UserException(
          "%s holds no master weights, only %s".formatted(checkpoint.folder(), checkpoint.kinds()));
    }
    this.checkpoint = checkpoint;
    checkpoint.layout().entries().forEach(entry -> entries.put(entry.name(), entry));
  }

  @Override
  public String name() {
    return checkpoint.folder().toString();
  }

  @Override
  public List<TensorSpec> tensors() {
    return entries.values().stream().map(CheckpointTensors::spec).toList();
  }

  private static TensorSpec spec(FlatLayout.Entry entry) {
    return new TensorSpec(entry.name(), DType.F32, entry.shape());
  }

  @Override
  public Optional<TensorSpec> find(String tensor) {
    return Optional.ofNullable(entries.get(tensor)).map(CheckpointTensors::spec);
  }

  @Override
  public void read(String tensor, long from, float[] into, int length) {
    FlatLayout.Entry entry = entries.get(tensor);
    if (entry == null) {
      throw new UserException(name() + " has no tensor " + tensor);
    }
    long start = entry.offset() + from;
    checkpoint.read(
        MASTER,
        new FlatRange(start, start + length),
        MemorySegment.ofArray(into).asSlice(0, (long) length * Float.BYTES));
  }

  @Override
  public void close() {
    // A checkpoint holds nothing open.
  }
}
