package org.pretrain4j.trainer.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.FlatLayout.Parameter;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.configuration.UserException;

class ParameterGroupsTest {
  private static final FlatLayout LAYOUT =
      FlatLayout.of(
          List.of(
              new Parameter("model.embed_tokens.weight", List.of(10L, 4L)), // [0, 40)
              new Parameter("model.layers.0.input_layernorm.weight", List.of(4L)), // [40, 44)
              new Parameter("model.layers.0.mlp.up_proj.weight", List.of(6L, 4L)), // [44, 68)
              new Parameter("model.layers.1.mlp.up_proj.weight", List.of(6L, 4L)), // [68, 92)
              new Parameter("model.norm.weight", List.of(4L)))); // [92, 96)

  @Test
  void embeddingsAreExcludedAndNormsAreNot() {
    ParameterGroups groups = ParameterGroups.of(LAYOUT, 0.1, List.of(".*embed_tokens.*"));
    assertEquals(
        List.of(range(0, 40, 0), range(40, 96, 0.1)), groups.decays(List.of(new FlatRange(0, 96))));
  }

  @Test
  void rangesAreCutAtGroupsAndKeepTheirOrder() {
    ParameterGroups groups =
        ParameterGroups.of(LAYOUT, 0.1, List.of(".*embed_tokens.*", ".*layers\\.1\\."));
    assertEquals(
        List.of(range(90, 92, 0), range(92, 94, 0.1), range(30, 40, 0), range(40, 50, 0.1)),
        groups.decays(
            List.of(new FlatRange(90, 94), new FlatRange(30, 50), new FlatRange(60, 60))));
    assertThrows(
        IllegalArgumentException.class, () -> groups.decays(List.of(new FlatRange(90, 97))));
  }

  @Test
  void aPatternMatchesFromTheBeginningAndNeedNotReachTheEnd() {
    ParameterGroups prefix = ParameterGroups.of(LAYOUT, 0.1, List.of("model.embed"));
    assertEquals(List.of(range(0, 40, 0)), prefix.decays(List.of(new FlatRange(0, 40))));
    UserException middle =
        assertThrows(
            UserException.class, () -> ParameterGroups.of(LAYOUT, 0.1, List.of("embed_tokens")));
    assertTrue(middle.getMessage().contains("'embed_tokens' matches no parameter"));
    assertTrue(middle.getMessage().contains("model.embed_tokens.weight"));
    assertFalse(middle.getMessage().contains("\n"));
  }

  @Test
  void aBrokenPatternIsNamedInOneLine() {
    UserException broken =
        assertThrows(UserException.class, () -> ParameterGroups.of(LAYOUT, 0.1, List.of("*embed")));
    assertTrue(broken.getMessage().contains("'*embed' is no regular expression"));
    assertFalse(broken.getMessage().contains("\n"));
  }

  @Test
  void theTableShowsWhoIsWhere() {
    String table = ParameterGroups.of(LAYOUT, 0.1, List.of(".*embed_tokens.*")).table();
    assertEquals(
        """
        weight decay  parameters        elements  names
                 0.1           4              56  model.layers.*.input_layernorm.weight, model.layers.*.mlp.up_proj.weight, model.norm.weight
                 0.0           1              40  model.embed_tokens.weight (.*embed_tokens.*)
        """,
        table);
  }

  private static WeightDecayRange range(long start, long end, double weightDecay) {
    return new WeightDecayRange(new FlatRange(start, end), weightDecay);
  }
}
