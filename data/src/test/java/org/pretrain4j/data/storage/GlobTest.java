package org.pretrain4j.data.storage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.Fixtures;

class GlobTest {
  @TempDir Path folder;

  @BeforeEach
  void files() throws Exception {
    for (String name :
        List.of("a.md", "b.txt", "d/c.md", "d/e/f.md", "d/e/g+h.txt", ".git/x.md", "d/_tmp/y.md")) {
      Path file = folder.resolve(name);
      Files.createDirectories(file.getParent());
      Files.writeString(file, "x");
    }
  }

  private List<String> find(String pattern) throws Exception {
    Path root = folder.toRealPath();
    return Fixtures.STORAGE.glob(folder.toRealPath() + "/" + pattern).stream()
        .map(file -> root.relativize(Path.of(file.getPath().toUri().getPath())).toString())
        .toList();
  }

  @Test
  void matchesNamesFoldersAndAlternatives() throws Exception {
    assertEquals(List.of("a.md"), find("*.md"));
    assertEquals(List.of("a.md", "d/c.md", "d/e/f.md"), find("**/*.md"));
    assertEquals(List.of("d/c.md", "d/e/f.md"), find("d/**/*.md"));
    assertEquals(List.of("d/e/f.md"), find("d/*/?.md"));
    assertEquals(List.of("a.md", "b.txt"), find("[ab].{md,txt}"));
    assertEquals(List.of("d/e/g+h.txt"), find("d/e/g+*"));
    assertEquals(List.of("d/e/f.md", "d/e/g+h.txt"), find("d/**/[!c]*"));
  }

  @Test
  void aFolderStandsForAllFilesBelowAndAFileForItself() throws Exception {
    assertEquals(List.of("d/c.md", "d/e/f.md", "d/e/g+h.txt"), find("d"));
    assertEquals(List.of(".git/x.md"), find(".git/x.md"));
    assertEquals(List.of(".git/x.md"), find(".git/*"));
  }

  @Test
  void nothingFoundIsAnError() {
    assertThrows(UserException.class, () -> find("*.json"));
    assertThrows(UserException.class, () -> find("none.txt"));
    assertThrows(UserException.class, () -> find("[z-a]*"));
  }
}
