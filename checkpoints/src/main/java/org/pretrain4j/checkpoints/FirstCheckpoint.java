package org.pretrain4j.checkpoints;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.tensors.CheckpointTensors;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.UserException;

/** Makes a checkpoint from weights alone, so that training can go on from an imported model. */
public final class FirstCheckpoint {
  private static final int PIECE_ELEMENTS = 1 << 20;

  /** The kinds that AdamW needs: the weights, and both moments, which begin as zero. */
  private static final List<String> KINDS =
      List.of("exp_avg", "exp_avg_sq", CheckpointTensors.MASTER);

  private FirstCheckpoint() {}

  /**
   * Writes a checkpoint whose moments are zero, a few megabytes at a time.
   *
   * @param layout the flat space of the model that will be trained; its parameters are looked up in
   *     the tensors by name
   * @param state where training begins, usually step 0
   * @throws UserException if a parameter is missing or has another shape
   * @throws CheckpointWriteException if the store can't be written
   */
  public static void write(
      TensorSource tensors, FlatLayout layout, CheckpointStore store, CheckpointState state) {
    for (FlatLayout.Entry entry : layout.entries()) {
      TensorSpec tensor =
          tensors
              .find(entry.name())
              .orElseThrow(
                  () -> new UserException(tensors.name() + " lacks the tensor " + entry.name()));
      if (!tensor.shape().equals(entry.shape())) {
        throw new UserException(
            "%s: the tensor %s has the shape %s, the run needs %s"
                .formatted(tensors.name(), entry.name(), tensor.shape(), entry.shape()));
      }
    }
    StagedCheckpoint staged = store.stage(state.step(), "import");
    float[] values = new float[PIECE_ELEMENTS];
    try {
      staged.writeShard(
          0,
          1,
          layout,
          List.of(new FlatRange(0, layout.elements())),
          KINDS,
          shard -> {
            for (String kind : KINDS) {
              boolean weights = kind.equals(CheckpointTensors.MASTER);
              Arrays.fill(values, 0);
              for (FlatLayout.Entry entry : layout.entries()) {
                long elements = entry.elements();
                for (long from = 0; from < elements; from += PIECE_ELEMENTS) {
                  int length = (int) Math.min(PIECE_ELEMENTS, elements - from);
                  if (weights) {
                    tensors.read(entry.name(), from, values, length);
                  }
                  shard.write(
                      MemorySegment.ofArray(values).asSlice(0, (long) length * Float.BYTES));
                }
              }
            }
          });
      staged.publish(1, state);
    } catch (RuntimeException e) {
      staged.discardAfter(e);
      throw e;
    }
  }
}
