package org.pretrain4j.configuration;

import java.util.List;
import java.util.Map;

/** A piece of YAML that knows where it was said. */
sealed interface Node {

  /**
   * Where something was said.
   *
   * @param source a file's path or a whole {@code --set} option
   * @param line counted from 1; 0 if the source has no lines
   */
  record Place(String source, int line) {
    @Override
    public String toString() {
      return line == 0 ? source : source + ":" + line;
    }
  }

  /** What a scalar looks like to YAML. */
  enum Kind {
    TEXT,
    NUMBER,
    BOOLEAN,
    NULL
  }

  /** A scalar with its text as written. */
  record Scalar(Place place, Kind kind, String text) implements Node {}

  /** A list. */
  record Sequence(Place place, List<Node> elements) implements Node {}

  /** Keys with values, in the order of the text. */
  record Mapping(Place place, Map<String, Node> entries) implements Node {}

  /** Where it was said; for the value of a key the place of the key. */
  Place place();

  /** What it is, for messages: {@code "abc"}, {@code 12}, {@code a list}. */
  default String shown() {
    return switch (this) {
      case Scalar scalar ->
          switch (scalar.kind()) {
            case TEXT -> Quoted.of(scalar.text());
            case NULL -> "empty";
            case NUMBER, BOOLEAN -> Quoted.shortened(scalar.text());
          };
      case Sequence sequence -> "a list";
      case Mapping mapping -> "a mapping";
    };
  }
}
