package org.pretrain4j.data.shards;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.pretrain4j.data.random.SplitMix64;
import org.pretrain4j.data.storage.Storage;

/**
 * Blocks that a run found damaged, kept in a folder of the run so that a resumed run leaves out the
 * same ones even if the file has been mended since. One small file for each block: ranks that find
 * the same damage write the same file. Thread-safe.
 */
public final class Quarantine {
  private static final Logger LOG = LogManager.getLogger(Quarantine.class);
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Stands for all blocks of a shard: its file is missing or its index damaged. */
  static final int WHOLE_SHARD = -1;

  /**
   * @param file the shard's path
   * @param block number of the record batch, or -1 for the whole shard
   */
  public record Entry(String file, int block) {}

  private final Storage storage;
  private final Path folder;
  private final Set<Entry> entries = ConcurrentHashMap.newKeySet();

  private Quarantine(Storage storage, Path folder) {
    this.storage = storage;
    this.folder = folder;
  }

  /**
   * Reads what earlier attempts of the run recorded.
   *
   * @param folder of this run's quarantine; need not exist
   */
  public static Quarantine open(Storage storage, Path folder) {
    Quarantine quarantine = new Quarantine(storage, folder);
    try {
      if (storage.exists(folder)) {
        for (FileStatus file : storage.list(folder)) {
          String name = file.getPath().getName();
          if (!name.startsWith(".") && name.endsWith(".json")) {
            quarantine.entries.add(parse(file.getPath(), storage.read(file.getPath())));
          }
        }
      }
      return quarantine;
    } catch (IOException e) {
      throw Storage.failed("read the quarantine", folder, e);
    }
  }

  private static Entry parse(Path file, byte[] content) {
    try {
      JsonNode root = JSON.readTree(content);
      if (root.path("file").isTextual() && root.path("block").isInt()) {
        return new Entry(root.path("file").textValue(), root.path("block").intValue());
      }
    } catch (JsonProcessingException e) {
      throw new ShardException(file.toUri().getPath(), "is damaged: not JSON; delete it", e);
    } catch (IOException e) {
      throw Storage.failed("read", file, e);
    }
    throw new ShardException(file.toUri().getPath(), "is damaged: no file and block; delete it");
  }

  boolean contains(String file, int block) {
    return entries.contains(new Entry(file, block))
        || entries.contains(new Entry(file, WHOLE_SHARD));
  }

  /** Records damage for good, and says so once. */
  void add(String file, int block, String reason) {
    Entry entry = new Entry(file, block);
    if (!entries.add(entry)) {
      return;
    }
    LOG.warn("quarantined: {}; its sequences are substituted by others of the dataset", reason);
    ObjectNode root = JSON.createObjectNode();
    root.put("file", file);
    root.put("block", block);
    root.put("reason", reason);
    String name = new Path(file).getName() + "-" + block;
    long key = SplitMix64.key(file);
    Path target = new Path(folder, name + "-" + Long.toHexString(key) + ".json");
    try {
      storage.publish(target, JSON.writeValueAsBytes(root));
    } catch (IOException e) {
      throw Storage.failed("record damaged data in", target, e);
    }
  }

  /** What is in quarantine, in order of names. */
  public List<Entry> entries() {
    return entries.stream()
        .sorted(Comparator.comparing(Entry::file).thenComparing(Entry::block))
        .toList();
  }
}
