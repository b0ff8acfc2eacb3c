package org.pretrain4j.configuration;

import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Turns nodes into values of a type and collects all that is wrong on the way. A method that binds
 * answers null for a value that is wrong, after it noted why.
 */
final class Binder {
  private final Class<?> root;
  private final List<Violation> violations;

  Binder(Class<?> root, List<Violation> violations) {
    this.root = root;
    this.violations = violations;
  }

  Object bind(Type type, Node node, String path) {
    if (Types.isRaw(type, Optional.class)) {
      if (isNull(node)) {
        return Optional.empty();
      }
      Object value = bind(Types.element(type), node, path);
      return value == null ? null : Optional.of(value);
    }
    if (isNull(node)) {
      note(node.place(), path, "has no value: give it one or delete the key");
      return null;
    }
    if (Types.isRaw(type, List.class)) {
      return list(Types.element(type), node, path);
    }
    if (Types.isRaw(type, Map.class)) {
      return map(Types.element(type), node, path);
    }
    if (!(type instanceof Class<?> plain)) {
      throw new IllegalStateException(path + " has the type " + type + ", which no key may have");
    }
    return plain.isRecord() ? record(plain, node, path) : scalar(plain, node, path);
  }

  private Object record(Class<?> type, Node node, String path) {
    if (!(node instanceof Node.Mapping mapping)) {
      wrongType(node, path, "keys with values: " + String.join(", ", Schema.of(type).names()));
      return null;
    }
    Schema schema = Schema.of(type);
    Set<String> meant = noteUnknownKeys(schema, mapping, path);
    List<Object> values = new ArrayList<>();
    Set<String> failed = new HashSet<>();
    for (Schema.Component component : schema.components()) {
      Object value = component(component, mapping, path, meant);
      if (value == null) {
        failed.add(component.name());
      }
      values.add(value == null ? Types.neutral(component.type()) : value);
    }
    try {
      Object created = schema.create(values);
      return failed.isEmpty() ? created : null;
    } catch (ConfigurationException e) {
      for (Violation violation : e.violations()) {
        if (violation.keys().stream().noneMatch(key -> failed.contains(firstOf(key)))) {
          violations.add(
              new Violation(
                  Locator.locate(mapping, violation.key()).toString(),
                  violation.keys().stream().map(key -> Checks.join(path, key)).toList(),
                  violation.problem()));
        }
      }
      return null;
    }
  }

  private Object component(
      Schema.Component component, Node.Mapping mapping, String path, Set<String> meant) {
    String key = Checks.join(path, component.name());
    Node node = mapping.entries().get(component.name());
    if (node != null) {
      return bind(component.type(), node, key);
    }
    if (component.defaultNode().isPresent()) {
      return defaultOf(component, key);
    }
    if (component.isOptional()) {
      return Optional.empty();
    }
    if (!meant.contains(component.name())) {
      note(mapping.place(), key, "is missing: add it (" + component.description() + ")");
    }
    return null;
  }

  private Object defaultOf(Schema.Component component, String path) {
    List<Violation> wrong = new ArrayList<>();
    Object value =
        new Binder(root, wrong).bind(component.type(), component.defaultNode().orElseThrow(), path);
    if (!wrong.isEmpty()) {
      throw new IllegalStateException("impossible @Default: " + wrong);
    }
    return value;
  }

  /**
   * Notes keys that the record lacks; answers the missing keys that they were probably meant to be.
   */
  private Set<String> noteUnknownKeys(Schema schema, Node.Mapping mapping, String path) {
    Set<String> meant = new HashSet<>();
    mapping
        .entries()
        .forEach(
            (name, value) -> {
              if (schema.component(name).isEmpty()) {
                Optional<String> near = Nearest.to(name, schema.names());
                near.filter(key -> !mapping.entries().containsKey(key)).ifPresent(meant::add);
                note(
                    value.place(),
                    Checks.join(path, Quoted.shortened(name)),
                    unknown(name, schema));
              }
            });
    return meant;
  }

  private String unknown(String name, Schema schema) {
    if (Nearest.to(name, schema.names()).isEmpty()) {
      Optional<String> elsewhere = Locator.pathTo(name, root);
      if (elsewhere.isPresent()) {
        return "is not a key; did you mean " + elsewhere.get() + "?";
      }
    }
    return "is not a key" + Nearest.hint(name, schema.names());
  }

  private Object list(Type element, Node node, String path) {
    if (!(node instanceof Node.Sequence sequence)) {
      wrongType(node, path, "a list: write [a, b], or a line with '- ' for each element");
      return null;
    }
    List<Object> values = new ArrayList<>();
    boolean good = true;
    for (int i = 0; i < sequence.elements().size(); i++) {
      Object value = bind(element, sequence.elements().get(i), path + "[" + i + "]");
      good &= value != null;
      values.add(value);
    }
    return good ? Collections.unmodifiableList(values) : null;
  }

  private Object map(Type element, Node node, String path) {
    if (!(node instanceof Node.Mapping mapping)) {
      wrongType(node, path, "names with values: write name: value, a line each");
      return null;
    }
    Map<String, Object> values = new LinkedHashMap<>();
    boolean good = true;
    for (Map.Entry<String, Node> entry : mapping.entries().entrySet()) {
      Object value = bind(element, entry.getValue(), Checks.join(path, entry.getKey()));
      good &= value != null;
      values.put(entry.getKey(), value);
    }
    return good ? Collections.unmodifiableMap(values) : null;
  }

  private Object scalar(Class<?> type, Node node, String path) {
    Node.Scalar scalar = node instanceof Node.Scalar found ? found : null;
    try {
      return switch (type.getName()) {
        case "java.lang.String" -> text(scalar, node, path);
        case "boolean", "java.lang.Boolean" -> truth(scalar, node, path);
        case "int", "java.lang.Integer" ->
            (int)
                Numbers.whole(textOf(scalar, Numbers.WHOLE), Integer.MIN_VALUE, Integer.MAX_VALUE);
        case "long", "java.lang.Long" ->
            Numbers.whole(textOf(scalar, Numbers.WHOLE), Long.MIN_VALUE, Long.MAX_VALUE);
        case "double", "java.lang.Double" -> Numbers.real(textOf(scalar, Numbers.ANY));
        default -> word(type, scalar, node, path);
      };
    } catch (Numbers.BadNumberException e) {
      wrongType(node, path, e.getMessage());
      return null;
    }
  }

  /** YAML takes a plain number for a number, so one that it takes for a text stood in quotes. */
  private static String textOf(Node.Scalar scalar, String expected)
      throws Numbers.BadNumberException {
    if (scalar == null || scalar.kind() == Node.Kind.BOOLEAN) {
      throw new Numbers.BadNumberException(expected);
    }
    if (scalar.kind() == Node.Kind.TEXT && Numbers.isPlain(scalar.text())) {
      throw new Numbers.BadNumberException(expected + ", without quotes");
    }
    return scalar.text();
  }

  private Object text(Node.Scalar scalar, Node node, String path) {
    if (scalar == null) {
      wrongType(node, path, "a text");
      return null;
    }
    if (scalar.kind() != Node.Kind.TEXT) {
      wrongType(node, path, "a text: put it in quotes");
      return null;
    }
    return scalar.text();
  }

  private Object truth(Node.Scalar scalar, Node node, String path) {
    if (scalar != null && scalar.kind() == Node.Kind.BOOLEAN) {
      if (scalar.text().equals("true") || scalar.text().equals("false")) {
        return scalar.text().equals("true");
      }
    }
    wrongType(node, path, "true or false");
    return null;
  }

  private Object word(Class<?> type, Node.Scalar scalar, Node node, String path) {
    if (!type.isEnum()) {
      throw new IllegalStateException(path + " has the type " + type + ", which no key may have");
    }
    List<String> words = Types.words(type);
    if (scalar == null || !words.contains(scalar.text())) {
      String hint =
          scalar == null
              ? ""
              : Nearest.to(scalar.text(), words).map(w -> "; did you mean " + w + "?").orElse("");
      wrongType(node, path, "one of " + String.join(", ", words) + hint);
      return null;
    }
    return type.getEnumConstants()[words.indexOf(scalar.text())];
  }

  private void wrongType(Node node, String path, String expected) {
    note(node.place(), path, "is " + node.shown() + ", expected " + expected);
  }

  private void note(Node.Place place, String path, String problem) {
    violations.add(new Violation(place.toString(), List.of(path), problem));
  }

  private static boolean isNull(Node node) {
    return node instanceof Node.Scalar scalar && scalar.kind() == Node.Kind.NULL;
  }

  private static String firstOf(String key) {
    return key.split("[.\\[]", 2)[0];
  }
}
