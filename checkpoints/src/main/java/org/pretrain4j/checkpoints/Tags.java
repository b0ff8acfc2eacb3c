package org.pretrain4j.checkpoints;

import java.io.IOException;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
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
    try {
      files.createFolder(folder);
      files.write(file(tag, step), new byte[0]);
      files.syncFolder(folder);
      SortedSet<Long> before = stored().getOrDefault(tag, new TreeSet<>());
      before.remove(step);
      delete(tag, before);
    } catch (IOException e) {
      throw new CheckpointWriteException("the tag " + tag + " can't be written to " + folder, e);
    }
  }

  void remove(String tag) {
    try {
      delete(tag, stored().getOrDefault(tag, new TreeSet<>()));
    } catch (IOException e) {
      throw new CheckpointWriteException("the tag " + tag + " can't be removed", e);
    }
  }

  /** The one that counts goes last, so that a crash in the middle moves no name back. */
  private void delete(String tag, SortedSet<Long> steps) throws IOException {
    for (long step : steps) {
      files.delete(file(tag, step));
    }
    if (!steps.isEmpty()) {
      files.syncFolder(folder);
    }
  }

  /** A crash while a name moved may have left both; the later step counts. */
  SortedMap<String, Long> all() {
    SortedMap<String, Long> tags = new TreeMap<>();
    stored().forEach((tag, steps) -> tags.put(tag, steps.last()));
    return tags;
  }

  private SortedMap<String, SortedSet<Long>> stored() {
    SortedMap<String, SortedSet<Long>> tags = new TreeMap<>();
    try {
      for (FileStatus entry : files.list(folder)) {
        String[] parts = entry.getPath().getName().split("@");
        if (parts.length == 2 && parts[1].matches("\\d{1,18}")) {
          tags.computeIfAbsent(parts[0], tag -> new TreeSet<>()).add(Long.parseLong(parts[1]));
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
