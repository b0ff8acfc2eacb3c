package org.pretrain4j.checkpoints.storage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DurableFileSystemTest {
  private static final List<Path> PLACES =
      List.of(Path.of("/dev/shm"), Path.of("target").toAbsolutePath(), Path.of("/run"));

  @TempDir Path folder;

  private static DurableFileSystem local() throws IOException {
    return DurableFileSystem.of(FileSystem.getLocal(new Configuration()));
  }

  private static org.apache.hadoop.fs.Path path(Path path) {
    return new org.apache.hadoop.fs.Path(path.toUri());
  }

  @Test
  void aFolderIsRenamedWhole() throws IOException {
    Path from = Files.createDirectory(folder.resolve("staging"));
    Files.writeString(from.resolve("file"), "text");
    local().rename(path(from), path(folder.resolve("published")));
    assertFalse(Files.exists(from));
    assertEquals("text", Files.readString(folder.resolve("published/file")));
    IOException missing =
        assertThrows(
            IOException.class, () -> local().rename(path(from), path(folder.resolve("again"))));
    assertTrue(missing.getMessage().contains("could not rename"), missing.getMessage());
  }

  private Optional<Path> otherDisk() throws IOException {
    for (Path place : PLACES) {
      if (Files.isWritable(place)
          && !Files.getFileStore(place).equals(Files.getFileStore(folder))) {
        return Optional.of(place);
      }
    }
    return Optional.empty();
  }

  @Test
  void aFolderThatIsThereIsNoErrorWhereTheOneAboveMayNotBeOpened() throws IOException {
    DurableFileSystem files =
        new DurableFileSystem(
            FileSystem.getLocal(new Configuration()),
            synced -> {
              throw new AccessDeniedException(synced.toString());
            });
    files.createFolder(path(folder));
    assertThrows(IOException.class, () -> files.createFolder(path(folder.resolve("new"))));
  }

  @Test
  void aRenameThatCannotBeAtomicIsRefused() throws IOException {
    Optional<Path> otherDisk = otherDisk();
    boolean mayBeSkipped = !"true".equals(System.getenv("CI"));
    assertTrue(otherDisk.isPresent() || mayBeSkipped, "none of " + PLACES + " is another disk");
    assumeTrue(otherDisk.isPresent(), "there is no other disk");
    Path from = Files.writeString(folder.resolve("file"), "text");
    Path to = otherDisk.get().resolve(folder.getFileName());
    try {
      assertThrows(IOException.class, () -> local().rename(path(from), path(to)));
      assertEquals("text", Files.readString(from));
      assertFalse(Files.exists(to));
    } finally {
      Files.deleteIfExists(to);
    }
  }

  @Test
  void anotherServerIsAnotherFileSystem() throws IOException {
    DurableFileSystem files = local();
    assertSame(files, files.holding(path(folder)));
    DurableFileSystem crashing = new CrashingFileSystem().durable();
    assertSame(crashing, crashing.holding(new org.apache.hadoop.fs.Path("crash:///a")));
    assertNotEquals(crashing, crashing.holding(path(folder)));
    // Hadoop knows no such scheme: it was asked, so this one was not taken for it.
    assertThrows(
        IOException.class,
        () -> crashing.holding(new org.apache.hadoop.fs.Path("crash://other/a")));
  }
}
