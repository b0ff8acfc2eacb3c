package org.pretrain4j.configuration;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One {@code --set path.to.key=value}. The value is YAML; an element of a list is addressed by its
 * index, as in {@code stages.0.steps=10} or {@code stages[0].steps=10}.
 *
 * @param path the keys and indices from the outside in
 * @param place names the option in messages
 */
record Setting(List<String> path, Node value, Node.Place place) {

  /** Parses an option; empty if it makes no sense, which is then among the violations. */
  static Optional<Setting> parse(String option, List<Violation> violations) {
    Node.Place place = new Node.Place("--set " + Quoted.shortened(option), 0);
    int equals = option.indexOf('=');
    List<String> path =
        equals <= 0
            ? List.of()
            : Arrays.asList(
                option
                    .substring(0, equals)
                    .strip()
                    .replace("[", ".")
                    .replace("]", "")
                    .split("\\.", -1));
    if (path.isEmpty() || path.stream().anyMatch(String::isBlank)) {
      violations.add(
          new Violation(place.toString(), List.of(""), "is not of the form path.to.key=value"));
      return Optional.empty();
    }
    String text = option.substring(equals + 1);
    int before = violations.size();
    Optional<Node> value = YamlTree.parse(text, place.source(), false, violations);
    if (violations.size() > before) {
      return Optional.empty();
    }
    Node empty = new Node.Scalar(place, Node.Kind.NULL, "");
    return Optional.of(new Setting(path, value.orElse(empty), place));
  }

  /** The keys with this setting applied. */
  Node.Mapping applyTo(Node.Mapping keys, List<Violation> violations) {
    return (Node.Mapping) put(keys, 0, violations);
  }

  private Node put(Node node, int depth, List<Violation> violations) {
    if (depth == path.size()) {
      return value;
    }
    String step = path.get(depth);
    if (node instanceof Node.Sequence sequence) {
      int index = index(step, sequence.elements().size());
      if (index < 0) {
        violations.add(
            new Violation(
                place.toString(),
                List.of(String.join(".", path.subList(0, depth))),
                "is a list of "
                    + sequence.elements().size()
                    + " elements, which are counted from 0; "
                    + Quoted.of(step)
                    + " is none of them"));
        return node;
      }
      List<Node> elements = new ArrayList<>(sequence.elements());
      elements.set(index, put(elements.get(index), depth + 1, violations));
      return new Node.Sequence(sequence.place(), elements);
    }
    boolean isMapping = node instanceof Node.Mapping;
    Map<String, Node> entries =
        node instanceof Node.Mapping mapping
            ? new LinkedHashMap<>(mapping.entries())
            : new LinkedHashMap<>();
    Node inner = entries.getOrDefault(step, new Node.Mapping(place, Map.of()));
    entries.put(step, put(inner, depth + 1, violations));
    return new Node.Mapping(isMapping ? node.place() : place, entries);
  }

  private static int index(String step, int size) {
    if (!step.matches("[0-9]{1,9}")) {
      return -1;
    }
    int index = Integer.parseInt(step);
    return index < size ? index : -1;
  }
}
