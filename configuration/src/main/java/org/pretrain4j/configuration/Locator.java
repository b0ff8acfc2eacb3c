package org.pretrain4j.configuration;

import java.lang.reflect.Type;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Finds keys: the place of one in a text, and the path of one in a record. */
final class Locator {
  private Locator() {}

  /** The place of a key, or of the innermost mapping that should hold it. */
  static Node.Place locate(Node node, String key) {
    if (key.isEmpty()) {
      return node.place();
    }
    return switch (node) {
      case Node.Scalar scalar -> scalar.place();
      case Node.Sequence sequence -> {
        int close = key.indexOf(']');
        if (!key.startsWith("[") || close < 0) {
          yield sequence.place();
        }
        int index = Integer.parseInt(key.substring(1, close));
        yield locate(sequence.elements().get(index), rest(key, close + 1));
      }
      case Node.Mapping mapping ->
          mapping.entries().keySet().stream()
              .filter(name -> isHead(name, key))
              .max(Comparator.comparingInt(String::length))
              .map(name -> locate(mapping.entries().get(name), rest(key, name.length())))
              .orElse(mapping.place());
    };
  }

  private static boolean isHead(String name, String key) {
    return !name.isEmpty()
        && key.startsWith(name)
        && (key.length() == name.length() || ".[".indexOf(key.charAt(name.length())) >= 0);
  }

  private static String rest(String key, int from) {
    return key.startsWith(".", from) ? key.substring(from + 1) : key.substring(from);
  }

  /** The path of a key of that name somewhere inside a record. */
  static Optional<String> pathTo(String name, Class<?> record) {
    Schema schema = Schema.of(record);
    if (schema.component(name).isPresent()) {
      return Optional.of(name);
    }
    return schema.components().stream()
        .flatMap(component -> pathTo(name, component).stream())
        .findFirst();
  }

  private static Optional<String> pathTo(String name, Schema.Component component) {
    Type type = component.type();
    String suffix = "";
    while (!(type instanceof Class<?>)) {
      suffix +=
          Types.isRaw(type, List.class) ? "[0]" : Types.isRaw(type, Map.class) ? ".<name>" : "";
      type = Types.element(type);
    }
    String prefix = component.name() + suffix + ".";
    Class<?> plain = (Class<?>) type;
    return plain.isRecord() ? pathTo(name, plain).map(path -> prefix + path) : Optional.empty();
  }
}
