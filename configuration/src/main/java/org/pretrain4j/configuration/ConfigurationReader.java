package org.pretrain4j.configuration;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Reads YAML into a record, strictly: an unknown key, a wrong type, a missing key or an impossible
 * value is an error, and all of them are reported at once, each with its file and line.
 *
 * <p>A file may say {@code extends: other.yaml} (relative to itself): its mappings are merged into
 * those of the other file, all else replaces what the other file says.
 *
 * <p>A whole number may be written {@code 8_000}, {@code 25K}, {@code 2.36M}, {@code 9B} or {@code
 * 8T}, as long as it comes out whole.
 */
public final class ConfigurationReader {
  private ConfigurationReader() {}

  /**
   * Reads a file.
   *
   * @param type a record whose components have {@link Key}
   * @param settings overrides of the form {@code path.to.key=value} with the value in YAML; an
   *     element of a list is addressed by its index; a later one wins
   * @throws ConfigurationException listing everything that is wrong
   */
  public static <R extends Record> R read(Class<R> type, Path file, List<String> settings) {
    List<Violation> violations = new ArrayList<>();
    Optional<Node.Mapping> keys = ConfigurationFile.read(file, violations);
    if (keys.isEmpty()) {
      throw new ConfigurationException(violations);
    }
    return bind(type, overridden(keys.get(), settings, violations), violations);
  }

  /**
   * Reads a text, such as the configuration that is stored with a checkpoint. It extends nothing.
   *
   * @param source what messages call the text
   * @throws ConfigurationException listing everything that is wrong
   */
  public static <R extends Record> R parse(Class<R> type, String text, String source) {
    List<Violation> violations = new ArrayList<>();
    Optional<Node.Mapping> keys = ConfigurationFile.parse(text, source, true, violations);
    if (keys.isEmpty()) {
      throw new ConfigurationException(violations);
    }
    return bind(type, keys.get(), violations);
  }

  /**
   * A record without a file: its defaults, and what the settings say.
   *
   * @param settings as in {@link #read}
   * @throws ConfigurationException listing everything that is wrong
   */
  public static <R extends Record> R defaults(Class<R> type, List<String> settings) {
    List<Violation> violations = new ArrayList<>();
    Node.Mapping keys = new Node.Mapping(new Node.Place("the command line", 0), Map.of());
    return bind(type, overridden(keys, settings, violations), violations);
  }

  private static Node.Mapping overridden(
      Node.Mapping keys, List<String> settings, List<Violation> violations) {
    Node.Mapping merged = keys;
    for (String option : settings) {
      Optional<Setting> setting = Setting.parse(option, violations);
      if (setting.isPresent()) {
        merged = setting.get().applyTo(merged, violations);
      }
    }
    return merged;
  }

  private static <R extends Record> R bind(
      Class<R> type, Node.Mapping keys, List<Violation> violations) {
    List<Violation> found = new ArrayList<>(violations);
    Object record = new Binder(type, found).bind(type, keys, "");
    if (!found.isEmpty()) {
      throw new ConfigurationException(inOrder(found));
    }
    return type.cast(record);
  }

  /** By source and line, so that a file can be mended from top to bottom. */
  private static List<Violation> inOrder(List<Violation> violations) {
    List<String> sources = violations.stream().map(v -> source(v.where())).distinct().toList();
    return violations.stream()
        .distinct()
        .sorted(
            Comparator.comparingInt((Violation v) -> sources.indexOf(source(v.where())))
                .thenComparingInt(v -> line(v.where())))
        .toList();
  }

  private static String source(String where) {
    return where.replaceFirst(":[0-9]{1,9}$", "");
  }

  private static int line(String where) {
    String digits = where.substring(source(where).length());
    return digits.isEmpty() ? 0 : Integer.parseInt(digits.substring(1));
  }
}
