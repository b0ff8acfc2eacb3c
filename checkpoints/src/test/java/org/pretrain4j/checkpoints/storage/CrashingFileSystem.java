package org.pretrain4j.checkpoints.storage;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.Syncable;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * A file system in memory that knows what a crash would leave. Bytes are durable once their file is
 * synced; creations, renames and deletions are durable once their folder is. After a given number
 * of operations everything fails, as if the machine had died; {@link #afterCrash} is then the disk
 * that a new start finds. It can also be full, or fail just once.
 */
public final class CrashingFileSystem extends FileSystem {
  /** What becomes of that which was not synced. */
  public enum Survival {
    NOTHING,
    EVERYTHING,
    SOMETHING
  }

  private abstract static sealed class Node permits Folder, Content {}

  private static final class Content extends Node {
    byte[] bytes = new byte[0];
    int length;
    int synced;
  }

  private static final class Folder extends Node {
    final Map<String, Node> entries = new TreeMap<>();
    Map<String, Node> durable = new TreeMap<>();
    // Changes that are not synced, oldest first; a rename is one change of two names.
    final List<Map<String, Node>> pending = new ArrayList<>();

    void change(Map<String, Node> change) {
      apply(entries, change);
      pending.add(change);
    }

    static void apply(Map<String, Node> entries, Map<String, Node> change) {
      change.forEach(
          (name, node) -> {
            if (node == null) {
              entries.remove(name);
            } else {
              entries.put(name, node);
            }
          });
    }
  }

  private final Folder root;
  private long operations;
  private long crashAfter = Long.MAX_VALUE;
  private long failAt = -1;
  private long freeBytes = Long.MAX_VALUE;

  public CrashingFileSystem() {
    this(new Folder());
  }

  private CrashingFileSystem(Folder root) {
    this.root = root;
    setConf(new Configuration(false));
  }

  /** As the code under test sees it. */
  public DurableFileSystem durable() {
    return new DurableFileSystem(this, this::syncFolder);
  }

  /** Number of operations that changed, or tried to change, anything. */
  public synchronized long operations() {
    return operations;
  }

  /** Lets the machine die after some more operations. */
  public synchronized void crashAfter(long more) {
    crashAfter = operations + more;
  }

  /** Goes on with everything that is there, synced or not, as if only the process had died. */
  public synchronized void restart() {
    crashAfter = Long.MAX_VALUE;
  }

  /** Lets one operation fail, counted from now on from 0. */
  public synchronized void failAt(long more) {
    failAt = operations + more;
  }

  /** Leaves room for so many bytes. */
  public synchronized void freeBytes(long bytes) {
    freeBytes = bytes;
  }

  /** The disk that a new start finds. */
  public synchronized CrashingFileSystem afterCrash(Survival survival, Random random) {
    return new CrashingFileSystem((Folder) survivor(root, survival, random));
  }

  private static Node survivor(Node node, Survival survival, Random random) {
    if (node instanceof Content file) {
      int kept =
          switch (survival) {
            case NOTHING -> file.synced;
            case EVERYTHING -> file.length;
            case SOMETHING -> file.synced + random.nextInt(file.length - file.synced + 1);
          };
      Content survivor = new Content();
      survivor.bytes = Arrays.copyOf(file.bytes, kept);
      if (survival == Survival.SOMETHING && kept > file.synced && random.nextBoolean()) {
        // Blocks that were allocated but never written.
        Arrays.fill(
            survivor.bytes, file.synced + random.nextInt(kept - file.synced), kept, (byte) 0);
      }
      survivor.length = kept;
      survivor.synced = kept;
      return survivor;
    }
    Folder folder = (Folder) node;
    Map<String, Node> names = new TreeMap<>(folder.durable);
    for (Map<String, Node> change : folder.pending) {
      boolean kept =
          switch (survival) {
            case NOTHING -> false;
            case EVERYTHING -> true;
            case SOMETHING -> random.nextBoolean();
          };
      if (kept) {
        Folder.apply(names, change);
      }
    }
    Folder survivor = new Folder();
    names.forEach((name, child) -> survivor.durable.put(name, survivor(child, survival, random)));
    survivor.entries.putAll(survivor.durable);
    return survivor;
  }

  private void operate(String what) throws IOException {
    long operation = operations++;
    if (operation >= crashAfter) {
      throw new IOException("the machine has crashed before " + what);
    }
    if (operation == failAt) {
      throw new IOException("Input/output error at " + what);
    }
  }

  private void requireAlive() throws IOException {
    if (operations > crashAfter) {
      throw new IOException("the machine has crashed");
    }
  }

  private void syncFolder(Path path) throws IOException {
    synchronized (this) {
      operate("sync of " + path);
      Folder folder = folder(path);
      folder.durable = new TreeMap<>(folder.entries);
      folder.pending.clear();
    }
  }

  private Node find(Path path) {
    Node node = root;
    for (String name : path.toUri().getPath().split("/")) {
      if (!name.isEmpty()) {
        node = node instanceof Folder folder ? folder.entries.get(name) : null;
      }
    }
    return node;
  }

  private Folder folder(Path path) throws FileNotFoundException {
    if (find(path) instanceof Folder folder) {
      return folder;
    }
    throw new FileNotFoundException("no folder " + path);
  }

  @Override
  public URI getUri() {
    return URI.create("crash:///");
  }

  @Override
  public synchronized FSDataInputStream open(Path path, int bufferSize) throws IOException {
    requireAlive();
    if (!(find(path) instanceof Content file)) {
      throw new FileNotFoundException(path + " does not exist");
    }
    return new FSDataInputStream(new Input(Arrays.copyOf(file.bytes, file.length)));
  }

  private static final class Input extends FSInputStream {
    private final byte[] content;
    private int position;

    Input(byte[] content) {
      this.content = content;
    }

    @Override
    public void seek(long to) {
      position = (int) to;
    }

    @Override
    public long getPos() {
      return position;
    }

    @Override
    public boolean seekToNewSource(long target) {
      return false;
    }

    @Override
    public int read() {
      return position < content.length ? content[position++] & 0xff : -1;
    }

    @Override
    public int read(byte[] into, int offset, int length) {
      int read = Math.min(length, content.length - position);
      if (read <= 0) {
        return length == 0 ? 0 : -1;
      }
      System.arraycopy(content, position, into, offset, read);
      position += read;
      return read;
    }
  }

  @Override
  public synchronized FSDataOutputStream create(
      Path path,
      FsPermission permission,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    operate("creation of " + path);
    Folder parent = folder(path.getParent());
    Content file = new Content();
    parent.change(Map.of(path.getName(), file));
    return new FSDataOutputStream(new Output(file, path), null);
  }

  private final class Output extends OutputStream implements Syncable, StreamCapabilities {
    private final Content file;
    private final Path path;

    Output(Content file, Path path) {
      this.file = file;
      this.path = path;
    }

    @Override
    public void write(int value) throws IOException {
      write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] from, int offset, int length) throws IOException {
      synchronized (CrashingFileSystem.this) {
        // Dying in the middle of a write leaves a part of it.
        int written = operations + 1 > crashAfter ? length / 2 : length;
        written = (int) Math.min(written, freeBytes);
        if (operations <= crashAfter) {
          if (file.bytes.length < file.length + written) {
            file.bytes = Arrays.copyOf(file.bytes, 2 * (file.length + written));
          }
          System.arraycopy(from, offset, file.bytes, file.length, written);
          file.length += written;
          freeBytes -= freeBytes == Long.MAX_VALUE ? 0 : written;
        }
        operate("write to " + path);
        if (written < length) {
          throw new IOException("No space left on device");
        }
      }
    }

    @Override
    public void hflush() {}

    @Override
    public void hsync() throws IOException {
      synchronized (CrashingFileSystem.this) {
        operate("sync of " + path);
        file.synced = file.length;
      }
    }

    @Override
    public boolean hasCapability(String capability) {
      return capability.equals(StreamCapabilities.HSYNC);
    }

    @Override
    public void close() throws IOException {
      synchronized (CrashingFileSystem.this) {
        operate("close of " + path);
      }
    }
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) {
    throw new UnsupportedOperationException("append");
  }

  @Override
  public synchronized boolean rename(Path from, Path to) throws IOException {
    operate("rename of " + from);
    Node node = find(from);
    if (node == null) {
      throw new FileNotFoundException(from + " does not exist");
    }
    if (!from.getParent().equals(to.getParent())) {
      throw new UnsupportedOperationException("rename from " + from + " to " + to);
    }
    Map<String, Node> change = new TreeMap<>();
    change.put(from.getName(), null);
    change.put(to.getName(), node);
    folder(from.getParent()).change(change);
    return true;
  }

  @Override
  public synchronized boolean delete(Path path, boolean recursive) throws IOException {
    Node node = find(path);
    if (node instanceof Folder folder) {
      for (String name : List.copyOf(folder.entries.keySet())) {
        delete(new Path(path, name), true);
      }
    }
    operate("deletion of " + path);
    if (node == null) {
      return false;
    }
    Map<String, Node> change = new TreeMap<>();
    change.put(path.getName(), null);
    folder(path.getParent()).change(change);
    if (node instanceof Content file) {
      freeBytes += freeBytes == Long.MAX_VALUE ? 0 : file.length;
    }
    return true;
  }

  @Override
  public synchronized FileStatus[] listStatus(Path path) throws IOException {
    requireAlive();
    List<FileStatus> found = new ArrayList<>();
    for (String name : folder(path).entries.keySet()) {
      found.add(getFileStatus(new Path(path, name)));
    }
    return found.toArray(new FileStatus[0]);
  }

  @Override
  public void setWorkingDirectory(Path path) {}

  @Override
  public Path getWorkingDirectory() {
    return new Path("crash:///");
  }

  @Override
  public synchronized boolean mkdirs(Path path, FsPermission permission) throws IOException {
    operate("creation of " + path);
    if (!(find(path) instanceof Folder)) {
      folder(path.getParent()).change(Map.of(path.getName(), new Folder()));
    }
    return true;
  }

  @Override
  public synchronized FileStatus getFileStatus(Path path) throws IOException {
    requireAlive();
    Node node = find(path);
    if (node == null) {
      throw new FileNotFoundException(path + " does not exist");
    }
    long length = node instanceof Content file ? file.length : 0;
    return new FileStatus(length, node instanceof Folder, 1, 1 << 20, 0, makeQualified(path));
  }
}
