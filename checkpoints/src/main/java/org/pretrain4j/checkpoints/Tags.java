package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.storage.DurableFileSystem;
import org.pretrain4j.configuration.StorageException;
import org.pretrain4j.configuration.UserException;

/**
 * Names of steps, each an empty file: {@code tags/<name>@<step>}, so that a rename gives a name.
 */
final class Tags {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_-]{1,64}");

  private final DurableFileSystem files;
  private final Path folder;

  Tags(DurableFileSystem files, Path folder) {
    this.files = files;
    this.folder = folder;
  }

  void put(long step, String tag) {
    if (!NAME.matcher(tag).matches()) {
      throw new UserException(
          "the tag '%s' must be of 1 to 64 letters, digits, '-' and '_'".formatted(tag));
    }
    Long before = all().get(tag);
    try {
      files.createFolder(folder);
      files.write(file(tag, step), new byte[0]);
      files.syncFolder(folder);
      if (before != null && before != step) {
        files.delete(file(tag, before));
        files.syncFolder(folder);
      }
    } catch (IOException e) {
      throw new CheckpointWriteException("the tag " + tag + " can't be written to " + folder, e);
    }
  }

  void remove(String tag) {
    Long step = all().get(tag);
    if (step != null) {
      try {
        files.delete(file(tag, step));
        files.syncFolder(folder);
      } catch (IOException e) {
        throw new CheckpointWriteException("the tag " + tag + " can't be removed", e);
      }
    }
  }

  /** A crash while a name moved may have left both; the later step counts. */
  SortedMap<String, Long> all() {
    SortedMap<String, Long> tags = new TreeMap<>();
    try {
      for (FileStatus entry : files.list(folder)) {
        String[] parts = entry.getPath().getName().split("@");
        if (parts.length == 2 && parts[1].matches("\\d{1,18}")) {
          tags.merge(parts[0], Long.parseLong(parts[1]), Math::max);
        }
      }
    } catch (IOException e) {
      throw new StorageException("%s can't be listed: %s".formatted(folder, e.getMessage()), e);
    }
    return tags;
  }

  private Path file(String tag, long step) {
    return new Path(folder, tag + "@" + step);
  }
}
