package org.pretrain4j.trainer.libtorch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

final class OperatorsTest {
  private NDManager manager;
  private long liveBefore;

  @BeforeEach
  void open() {
    liveBefore = Tensor.live();
    manager = NDManager.newBaseManager("PyTorch");
  }

  @AfterEach
  void nothingIsLeftAlive() {
    manager.close();
    assertEquals(liveBefore, Tensor.live());
  }

  private static float[] floats(Tensor tensor) {
    Tensor plain = Operators.contiguous(Operators.to(tensor, ScalarType.FLOAT32));
    return plain.segment().toArray(ValueLayout.JAVA_FLOAT);
  }

  @Test
  void linearMultipliesWithTheTransposedWeight() {
    Tensor x = Tensor.of(manager, new float[] {1, 2, 3, 4}, 2, 2);
    Tensor weight = Tensor.of(manager, new float[] {1, 0, 0, 1, 1, 1}, 3, 2);
    assertArrayEquals(new float[] {1, 2, 3, 3, 4, 7}, floats(Operators.linear(x, weight)));
  }

  @Test
  void bfloat16RoundsToNearestEven() {
    Tensor x = Tensor.of(manager, new float[] {1.0f, 1.00390625f, 1.01171875f, -3.1415927f}, 4);
    Tensor rounded = Operators.to(x, ScalarType.BFLOAT16);
    assertEquals(ScalarType.BFLOAT16, rounded.type());
    assertArrayEquals(new float[] {1.0f, 1.0f, 1.015625f, -3.140625f}, floats(rounded));
  }

  @Test
  void gradientsArriveAtLeavesThatAreViewsOfOneBuffer() {
    Tensor flat = Tensor.of(manager, new float[] {9, 2, 3, 4, 5, 9}, 6);
    Tensor leaf = flat.view(manager, 1, 2, 2).requireGradient();
    Tensor y = GradientMode.record(() -> Operators.mul(leaf, leaf));
    y.backward(Tensor.of(manager, new float[] {1, 1, 1, 10}, 2, 2));
    assertArrayEquals(new float[] {4, 6, 8, 100}, floats(leaf.gradient()));
    flat.segment().setAtIndex(ValueLayout.JAVA_FLOAT, 1, 7f);
    assertArrayEquals(new float[] {7, 3, 4, 5}, floats(leaf));
  }

  @Test
  void bfloat16GradientsFlowThroughAttentionAndSilu() {
    Tensor q =
        Operators.to(Tensor.of(manager, new float[] {1, 0, 0, 1}, 1, 1, 2, 2), ScalarType.BFLOAT16)
            .requireGradient();
    Tensor y =
        GradientMode.record(() -> Operators.silu(Operators.attention(q, q, q, null, true, 1.0)));
    y.backward(Operators.to(Tensor.of(manager, new float[] {1, 1, 1, 1}, 1, 1, 2, 2), y.type()));
    Tensor gradient = q.gradient();
    assertEquals(ScalarType.BFLOAT16, gradient.type());
    float sum = 0;
    for (float value : floats(gradient)) {
      sum += Math.abs(value);
    }
    assertTrue(sum > 0.1f, "gradient sum " + sum);
  }

  @Test
  void crossEntropyIgnoresMaskedTargets() {
    Tensor logits = Tensor.of(manager, new float[] {0, 0, 5, -5}, 2, 2);
    Tensor targets = Tensor.of(manager, new long[] {1, -100}, 2);
    assertEquals(Math.log(2), floats(Operators.crossEntropySum(logits, targets, -100))[0], 1e-6);
  }

  @Test
  void slicesRepeatsAndConcatenatesLikeTheirNames() {
    Tensor x = Tensor.of(manager, new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
    assertArrayEquals(new float[] {2, 3, 5, 6}, floats(Operators.slice(x, 1, 1, 3)));
    assertArrayEquals(
        new float[] {1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6},
        floats(Operators.repeatInterleave(x, 2, 0)));
    assertArrayEquals(new float[] {1, 4, 2, 5, 3, 6}, floats(Operators.transpose(x, 0, 1)));
    assertArrayEquals(
        new float[] {1, 2, 3, 1, 4, 5, 6, 4},
        floats(Operators.concat(List.of(x, Operators.slice(x, 1, 0, 1)), 1)));
  }

  @Test
  void aRefusedCallNamesOperatorShapesAndTypes() {
    Tensor x = Tensor.of(manager, new float[] {1, 2, 3}, 3);
    Tensor weight = Tensor.of(manager, new float[] {1, 2, 3, 4}, 2, 2);
    LibtorchException failure =
        assertThrows(LibtorchException.class, () -> Operators.linear(x, weight));
    assertTrue(failure.getMessage().contains("aten::linear"), failure.getMessage());
    assertTrue(failure.getMessage().contains("FLOAT32[3]"), failure.getMessage());
    assertTrue(failure.getMessage().contains("FLOAT32[2, 2]"), failure.getMessage());
  }

  /** The CPU has no such kernel, but the failure tells what was passed. */
  @Test
  void varlenAttentionHasTheArgumentsOfThisLibtorchsSchema() throws IOException {
    Tensor query = Tensor.zeros(manager, ScalarType.BFLOAT16, 6, 4, 8);
    Tensor key = Tensor.zeros(manager, ScalarType.BFLOAT16, 6, 2, 8);
    Tensor lengths = Tensor.zeros(manager, ScalarType.INT32, 3);
    Tensor sums = Tensor.zeros(manager, ScalarType.FLOAT32, 4, 6);
    Operators.VarlenAttention forward =
        new Operators.VarlenAttention(query, sums, lengths, lengths);
    Map<String, Executable> calls =
        Map.of(
            "_flash_attention_forward",
            () -> Operators.varlenAttention(query, key, key, lengths, 4, 0.5),
            "_flash_attention_backward",
            () ->
                Operators.varlenAttentionBackward(
                    query, query, key, key, forward, lengths, 4, 0.5));
    for (String operator : calls.keySet()) {
      LibtorchException e = assertThrows(LibtorchException.class, calls.get(operator));
      Matcher passed = Pattern.compile(" with \\(([^)]*)\\) ").matcher(e.getMessage());
      assertTrue(e.getMessage().startsWith("aten::" + operator) && passed.find(), e.getMessage());
      requireFits(passed.group(1).split(", "), schemaTypes(operator), operator);
    }
  }

  private static void requireFits(String[] passed, List<String> schema, String operator) {
    for (int i = 0; i < Math.max(passed.length, schema.size()); i++) {
      String type = i < schema.size() ? schema.get(i) : "no such argument";
      String given = i < passed.length ? passed[i] : "None"; // as slots beyond the arguments are
      assertTrue(
          given.equals("None") ? type.endsWith("?") : given.equals(type),
          "argument %d of %s is %s, but %s is passed".formatted(i, operator, type, given));
    }
  }

  /** Types of the arguments in the schema that the library itself registers. */
  private static List<String> schemaTypes(String operator) throws IOException {
    Path library = LibtorchBuild.loaded().folder().resolve(System.mapLibraryName("torch_cpu"));
    String start = "\0" + operator + "(Tensor "; // others end in that name
    try (InputStream in = Files.newInputStream(library)) {
      String before = "";
      for (byte[] block = in.readNBytes(1 << 22);
          block.length > 0;
          block = in.readNBytes(1 << 22)) {
        String text = before + new String(block, StandardCharsets.ISO_8859_1);
        int at = text.indexOf(start);
        if (at >= 0 && text.indexOf(") ->", at) >= 0) {
          return Stream.of(
                  text.substring(at + operator.length() + 2, text.indexOf(") ->", at)).split(", "))
              .filter(argument -> !argument.equals("*"))
              .map(argument -> argument.split(" ")[0].replace("SymInt", "int"))
              .toList();
        }
        before = text.substring(Math.max(0, text.length() - 4096));
      }
    }
    throw new AssertionError(library + " has no schema of " + operator);
  }
}
