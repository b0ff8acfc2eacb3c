package org.pretrain4j.trainer.parallel.cluster;

import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;

/** What the ranks of a single process share: a map, with no port taken and nobody to wait for. */
public final class LocalStore implements Store {
  private final ConcurrentSkipListMap<String, byte[]> values = new ConcurrentSkipListMap<>();

  @Override
  public void set(String key, byte[] value) {
    values.put(key, value.clone());
  }

  @Override
  public Optional<byte[]> get(String key) {
    return Optional.ofNullable(values.get(key)).map(byte[]::clone);
  }

  @Override
  public Map<String, byte[]> list(String prefix) {
    Map<String, byte[]> found = new TreeMap<>();
    values
        .tailMap(prefix)
        .forEach(
            (key, value) -> {
              if (key.startsWith(prefix)) {
                found.put(key, value.clone());
              }
            });
    return found;
  }

  @Override
  public byte[] setIfAbsent(String key, byte[] value) {
    byte[] before = values.putIfAbsent(key, value.clone());
    return before == null ? value : before.clone();
  }

  /** Those who could inherit go with it. */
  @Override
  public void bequeath(String key, byte[] value) {}

  /** The other ranks may still need it. */
  @Override
  public void close() {}
}
