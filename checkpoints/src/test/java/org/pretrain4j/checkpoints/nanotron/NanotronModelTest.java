package org.pretrain4j.checkpoints.nanotron;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.huggingface.TinyModel;
import org.pretrain4j.checkpoints.safetensors.TensorSpec;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.checkpoints.tensors.MapTensors;
import org.pretrain4j.configuration.UserException;

class NanotronModelTest {
  private static final ModelArchitecture MODEL = TinyModel.ARCHITECTURE;

  @TempDir Path folder;
  private DurableFileSystem files;
  private final MapTensors tensors = TinyModel.tensors(31);

  @BeforeEach
  void writeLikeNanotronWithTwoTensorRanks() throws IOException {
    files = DurableFileSystem.of(FileSystem.getLocal(new Configuration()));
    NanotronFolder.write(folder, MODEL, tensors);
  }

  private NanotronModel open() {
    return NanotronModel.open(files, new org.apache.hadoop.fs.Path(folder.toUri()));
  }

  @Test
  void slicesOfAllRanksAreOneModelAgain() {
    try (NanotronModel model = open()) {
      assertEquals(MODEL, model.architecture());
      assertEquals(
          MODEL.tensors().stream().map(TensorSpec::name).sorted().toList(),
          model.tensors().tensors().stream().map(TensorSpec::name).sorted().toList());
      for (TensorSpec tensor : MODEL.tensors()) {
        float[] values = new float[(int) tensor.elements()];
        model.tensors().read(tensor.name(), 0, values, values.length);
        assertArrayEquals(tensors.values(tensor.name()), values, tensor.name());
      }
      // A part that begins and ends in the middle of rows.
      float[] part = new float[333];
      String name = "model.layers.2.mlp.down_proj.weight";
      model.tensors().read(name, 1001, part, part.length);
      assertArrayEquals(java.util.Arrays.copyOfRange(tensors.values(name), 1001, 1334), part);
    }
  }

  @Test
  void aMissingSliceIsNamed() throws IOException {
    Files.delete(
        folder
            .resolve("40000/model/model/decoder/3/pp_block/mlp/down_proj")
            .resolve(NanotronFolder.shardName(1)));
    UserException missing = assertThrows(UserException.class, () -> open().close());
    assertTrue(missing.getMessage().contains("decoder/3/pp_block/mlp/down_proj"));
    assertTrue(missing.getMessage().contains("3072 of 6144"), missing.getMessage());
  }

  @Test
  void aFolderThatIsNoCheckpointIsNamed() {
    UserException none =
        assertThrows(
            UserException.class,
            () ->
                NanotronModel.open(
                    files, new org.apache.hadoop.fs.Path(folder.resolve("40000/model").toUri())));
    assertTrue(none.getMessage().contains("no nanotron checkpoint"), none.getMessage());
  }
}
