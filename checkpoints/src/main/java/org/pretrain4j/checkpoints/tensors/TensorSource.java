package org.pretrain4j.checkpoints.tensors;

import java.util.List;
import java.util.Optional;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.configuration.UserException;

/** Named tensors whose values can be read as fp32, piece by piece. */
public interface TensorSource extends AutoCloseable {
  /** Where the tensors come from, for messages. */
  String name();

  /** What the tensors are, in their order. */
  List<TensorSpec> tensors();

  /**
   * Reads elements of a tensor, flattened, as fp32; exact, since all stored types are narrower.
   *
   * @param tensor its name
   * @param from first element
   * @param into its first {@code length} elements are set
   * @throws UserException if there is no such tensor, or if it can't be read
   */
  void read(String tensor, long from, float[] into, int length);

  /** The tensor of a name. */
  default Optional<TensorSpec> find(String tensor) {
    return tensors().stream().filter(spec -> spec.name().equals(tensor)).findFirst();
  }

  @Override
  void close();
}
