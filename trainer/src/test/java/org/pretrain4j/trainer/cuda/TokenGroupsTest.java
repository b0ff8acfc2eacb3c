package org.pretrain4j.trainer.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class TokenGroupsTest {
  @Test
  void positionsOfEachTokenStandTogetherInOrder() {
    TokenGroups groups = TokenGroups.of(new int[] {5, 2, 5, 0, 2, 5}, new int[] {9, 9, 9, 9, 9, 9});
    assertArrayEquals(new int[] {0, 2, 5}, groups.tokens());
    assertArrayEquals(new int[] {0, 1, 3, 6}, groups.starts());
    assertArrayEquals(new int[] {3, 1, 4, 0, 2, 5}, groups.positions());
  }

  @Test
  void noTokensAreNoGroups() {
    TokenGroups groups = TokenGroups.of(new int[0], new int[6]);
    assertArrayEquals(new int[0], groups.tokens());
    assertArrayEquals(new int[] {0}, groups.starts());
  }

  @Test
  void aTokenOutsideOfTheVocabularyIsRefused() {
    for (int token : new int[] {6, -1}) {
      assertThrows(
          IllegalArgumentException.class, () -> TokenGroups.of(new int[] {token}, new int[6]));
    }
  }
}
