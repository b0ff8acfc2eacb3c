package org.pretrain4j.spark;

import java.io.Serializable;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;

/**
 * A file of a corpus as the driver found it.
 *
 * @param path with its file system
 * @param modified milliseconds since 1970
 */
record InputFile(String path, long bytes, long modified) implements Serializable {
  static InputFile of(FileStatus status) {
    return new InputFile(
        status.getPath().toString(), status.getLen(), status.getModificationTime());
  }

  FileStatus status() {
    return new FileStatus(bytes, false, 1, 0, modified, new Path(path));
  }
}
