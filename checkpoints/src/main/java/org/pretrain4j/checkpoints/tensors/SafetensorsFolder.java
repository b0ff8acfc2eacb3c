package org.pretrain4j.checkpoints.tensors;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.safetensors.SafetensorsFile;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.UserException;

/**
 * The weights of a folder in the Hugging Face convention: one {@code model.safetensors}, or several
 * files and {@code model.safetensors.index.json}, which says which tensor is in which.
 */
public final class SafetensorsFolder implements TensorSource {
  /** The file if there is only one. */
  public static final String SINGLE_FILE = "model.safetensors";

  /** The index if there are several. */
  public static final String INDEX_FILE = "model.safetensors.index.json";

  private final Path folder;
  private final List<SafetensorsFile> open = new ArrayList<>();
  private final Map<String, TensorSpec> tensors = new LinkedHashMap<>();
  private final Map<String, SafetensorsFile> owners = new LinkedHashMap<>();

  private SafetensorsFolder(Path folder) {
    this.folder = folder;
  }

  /**
   * Opens all files of a folder and checks their headers.
   *
   * @throws UserException in one line: no weights, a missing or damaged file, an index that leads
   *     out of the folder, a tensor that appears twice or not at all, a type that is no float
   */
  public static SafetensorsFolder open(DurableFileSystem files, Path folder) {
    SafetensorsFolder opened = new SafetensorsFolder(folder);
    try {
      Path index = new Path(folder, INDEX_FILE);
      if (files.exists(index)) {
        opened.openIndexed(files, readIndex(files, index));
      } else if (files.exists(new Path(folder, SINGLE_FILE))) {
        opened.openFile(files, SINGLE_FILE);
      } else {
        throw new UserException(
            "%s has neither %s nor %s; give the folder of a model in the Hugging Face format"
                .formatted(folder, SINGLE_FILE, INDEX_FILE));
      }
      return opened;
    } catch (IOException e) {
      opened.close();
      throw new UserException("%s can't be read: %s".formatted(folder, e.getMessage()), e);
    } catch (RuntimeException e) {
      opened.close();
      throw e;
    }
  }

  private static Map<String, String> readIndex(DurableFileSystem files, Path index)
      throws IOException {
    JsonNode map = ForeignJson.parse(index.toString(), files.read(index)).path("weight_map");
    if (!map.isObject() || map.isEmpty()) {
      throw new UserException(index + " has no weight_map");
    }
    Map<String, String> fileByTensor = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> field : map.properties()) {
      String file = field.getValue().asText();
      if (!file.matches("[^/\\\\:.][^/\\\\:]*\\.safetensors")) {
        throw new UserException(
            "%s puts the tensor %s into '%s', which is refused: it must be a .safetensors file of this folder"
                .formatted(index, field.getKey(), file));
      }
      fileByTensor.put(field.getKey(), file);
    }
    return fileByTensor;
  }

  private void openIndexed(DurableFileSystem files, Map<String, String> fileByTensor)
      throws IOException {
    Map<String, SafetensorsFile> byName = new LinkedHashMap<>();
    for (String file : new TreeSet<>(fileByTensor.values())) {
      if (!files.exists(new Path(folder, file))) {
        throw new UserException(
            "%s is incomplete: %s is missing; copy it again".formatted(folder, file));
      }
      byName.put(file, openFile(files, file));
    }
    fileByTensor.forEach(
        (tensor, file) -> {
          if (owners.get(tensor) != byName.get(file)) {
            throw new UserException(
                "%s is inconsistent: %s does not hold the tensor %s as the index says"
                    .formatted(folder, file, tensor));
          }
        });
  }

  private SafetensorsFile openFile(DurableFileSystem files, String name) throws IOException {
    SafetensorsFile file = SafetensorsFile.open(files, new Path(folder, name));
    open.add(file);
    for (TensorSpec tensor : file.tensors().values()) {
      if (!Rounding.isFloat(tensor.dtype())) {
        throw new UserException(
            "%s/%s: the tensor %s is %s; weights must be F32, BF16 or F16"
                .formatted(folder, name, tensor.name(), tensor.dtype()));
      }
      if (owners.put(tensor.name(), file) != null) {
        throw new UserException(
            "%s is inconsistent: the tensor %s appears in two files"
                .formatted(folder, tensor.name()));
      }
      tensors.put(tensor.name(), tensor);
    }
    return file;
  }

  @Override
  public String name() {
    return folder.toString();
  }

  @Override
  public List<TensorSpec> tensors() {
    return List.copyOf(tensors.values());
  }

  @Override
  public Optional<TensorSpec> find(String tensor) {
    return Optional.ofNullable(tensors.get(tensor));
  }

  @Override
  public void read(String tensor, long from, float[] into, int length) {
    TensorSpec spec = tensors.get(tensor);
    if (spec == null) {
      throw new UserException(name() + " has no tensor " + tensor);
    }
    int width = spec.dtype().bytes();
    MemorySegment bytes = MemorySegment.ofArray(new byte[length * width]);
    try {
      owners.get(tensor).read(tensor, from * width, bytes);
    } catch (IOException e) {
      throw new UserException(
          "%s: the tensor %s can't be read: %s".formatted(folder, tensor, e.getMessage()), e);
    }
    Rounding.decode(bytes, spec.dtype(), into, length);
  }

  @Override
  public void close() {
    for (SafetensorsFile file : open) {
      try {
        file.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
