package org.pretrain4j.checkpoints.tensors;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;

/** Tensors in memory. */
public final class MapTensors implements TensorSource {
  private final Map<String, TensorSpec> specs = new LinkedHashMap<>();
  private final Map<String, float[]> values = new LinkedHashMap<>();

  public static MapTensors random(List<TensorSpec> specs, long seed) {
    Random random = new Random(seed);
    MapTensors tensors = new MapTensors();
    for (TensorSpec spec : specs) {
      float[] values = new float[(int) spec.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (random.nextGaussian() * 0.2) + (spec.shape().size() == 1 ? 1 : 0);
      }
      tensors.put(spec, values);
    }
    return tensors;
  }

  public MapTensors put(TensorSpec spec, float[] content) {
    specs.put(spec.name(), spec);
    values.put(spec.name(), content);
    return this;
  }

  public void remove(String name) {
    specs.remove(name);
  }

  public float[] values(String name) {
    return values.get(name);
  }

  @Override
  public String name() {
    return "memory";
  }

  @Override
  public List<TensorSpec> tensors() {
    return List.copyOf(specs.values());
  }

  @Override
  public void read(String tensor, long from, float[] into, int length) {
    System.arraycopy(values.get(tensor), (int) from, into, 0, length);
  }

  @Override
  public void close() {}
}
