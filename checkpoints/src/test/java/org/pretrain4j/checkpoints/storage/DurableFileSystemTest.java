package org.pretrain4j.checkpoints.storage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DurableFileSystemTest {
  private static final Path OTHER_DISK = Path.of("/dev/shm");

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

  @Test
  void aRenameThatCannotBeAtomicIsRefused() throws IOException {
    assumeTrue(Files.isWritable(OTHER_DISK), "there is no other disk");
    assumeTrue(!Files.getFileStore(OTHER_DISK).equals(Files.getFileStore(folder)));
    Path from = Files.writeString(folder.resolve("file"), "text");
    Path to = OTHER_DISK.resolve(folder.getFileName());
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
