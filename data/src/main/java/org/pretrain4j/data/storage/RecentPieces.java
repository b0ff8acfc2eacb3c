package org.pretrain4j.data.storage;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Which pieces a cache holds, the least recently used first, never more than its bytes together
 * with those that have room and are still being written. What is pushed out counts no longer,
 * though it is on the disk until whoever is told of it has deleted it. Thread-safe.
 */
final class RecentPieces {
  private final long maxBytes;
  private final Map<String, Long> sizes = new LinkedHashMap<>(256, 0.75f, true);
  // Used since somebody began to look what is on the disk, who may have missed them.
  private final Map<String, Long> news = new LinkedHashMap<>();
  private boolean looking;
  private long bytes;
  private long writing;

  RecentPieces(long maxBytes) {
    this.maxBytes = maxBytes;
  }

  /** Somebody begins to look what is there, until {@link #found}. */
  synchronized void look() {
    looking = true;
    news.clear();
  }

  /** Knows these, and those used since {@link #look}; returns those that there are too many. */
  synchronized List<String> found(Map<String, Long> inOrderOfUse) {
    looking = false;
    sizes.clear();
    sizes.putAll(inOrderOfUse);
    sizes.putAll(news);
    bytes = sizes.values().stream().mapToLong(Long::longValue).sum();
    return pushOut(0);
  }

  /** A piece that is there was used; returns what it pushes out. */
  synchronized List<String> used(String key, long size) {
    Long before = sizes.put(key, size);
    bytes += size - (before == null ? 0 : before);
    if (looking) {
      news.put(key, size);
    }
    return pushOut(0);
  }

  /**
   * Keeps room for a piece until {@link #written} or {@link #notWritten}.
   *
   * @return what must be deleted first, or empty if others that are being written need the room
   */
  synchronized Optional<List<String>> reserve(long size) {
    if (writing + size > maxBytes) {
      return Optional.empty();
    }
    List<String> out = pushOut(size);
    writing += size;
    return Optional.of(out);
  }

  /** The piece that room was kept for is there. */
  synchronized List<String> written(String key, long size) {
    writing -= size;
    return used(key, size);
  }

  /** The room is free again. */
  synchronized void notWritten(long size) {
    writing -= size;
  }

  synchronized void remove(String key) {
    Long size = sizes.remove(key);
    bytes -= size == null ? 0 : size;
    news.remove(key);
  }

  synchronized boolean contains(String key) {
    return sizes.containsKey(key);
  }

  /** Of all pieces that are there. */
  synchronized long bytes() {
    return bytes;
  }

  private List<String> pushOut(long room) {
    List<String> out = new ArrayList<>();
    var oldest = sizes.entrySet().iterator();
    while (bytes + writing + room > maxBytes && oldest.hasNext()) {
      Map.Entry<String, Long> piece = oldest.next();
      out.add(piece.getKey());
      bytes -= piece.getValue();
      oldest.remove();
      news.remove(piece.getKey());
    }
    return out;
  }
}
