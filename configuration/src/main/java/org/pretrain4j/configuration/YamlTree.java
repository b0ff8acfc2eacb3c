package org.pretrain4j.configuration;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.yaml.snakeyaml.error.MarkedYAMLException;

/**
 * Parses a text of YAML into nodes that know their lines. Only what a configuration needs is
 * allowed: one document, no aliases or tags, and no key twice.
 */
final class YamlTree {
  /** Far more than any configuration nests, and far less than the smallest stack takes. */
  private static final int MOST_LEVELS = 100;

  private static final YAMLFactory FACTORY =
      YAMLFactory.builder()
          .enable(YAMLParser.Feature.EMPTY_STRING_AS_NULL)
          .streamReadConstraints(
              StreamReadConstraints.builder().maxNestingDepth(MOST_LEVELS).build())
          .build();

  private final String source;
  private final boolean hasLines;
  private final YAMLParser parser;
  private final List<Violation> violations;

  private YamlTree(String source, boolean hasLines, YAMLParser parser, List<Violation> violations) {
    this.source = source;
    this.hasLines = hasLines;
    this.parser = parser;
    this.violations = violations;
  }

  /**
   * Parses a text.
   *
   * @param source what messages call the text
   * @param hasLines whether messages name the line
   * @param violations takes what is wrong
   * @return the document, or empty if there is none or it is no YAML (which is a violation)
   */
  static Optional<Node> parse(
      String text, String source, boolean hasLines, List<Violation> violations) {
    try (YAMLParser parser = FACTORY.createParser(text)) {
      return new YamlTree(source, hasLines, parser, violations).document();
    } catch (IOException e) {
      throw new UncheckedIOException("reading from a text in memory", e);
    }
  }

  private Optional<Node> document() throws IOException {
    try {
      JsonToken first = parser.nextToken();
      if (first == null) {
        return Optional.empty();
      }
      Node root = node(first, place(), "");
      if (parser.nextToken() != null) {
        note("has a second document here: keep one, without ---");
      }
      return Optional.of(root);
    } catch (JsonProcessingException e) {
      violations.add(invalid(e));
      return Optional.empty();
    }
  }

  /** The parser's message in one line, with the line of the problem, not of the last good token. */
  private Violation invalid(JsonProcessingException e) {
    Node.Place place = place();
    String problem = e.getOriginalMessage();
    if (e.getCause() instanceof MarkedYAMLException marked && marked.getProblemMark() != null) {
      place = new Node.Place(source, hasLines ? marked.getProblemMark().getLine() + 1 : 0);
      String context = marked.getContext() == null ? "" : marked.getContext() + ": ";
      problem = context + marked.getProblem();
    }
    return new Violation(
        place.toString(), List.of(""), "is not valid YAML: " + Quoted.firstLine(problem));
  }

  private Node node(JsonToken token, Node.Place place, String path) throws IOException {
    if (parser.isCurrentAlias()) {
      note("has an alias *" + Quoted.shortened(parser.getText()) + ": repeat the value instead");
    }
    if (parser.getTypeId() != null) {
      note("has a tag !" + Quoted.shortened(String.valueOf(parser.getTypeId())) + ": delete it");
    }
    return switch (token) {
      case START_OBJECT -> mapping(place, path);
      case START_ARRAY -> sequence(place, path);
      case VALUE_NULL -> new Node.Scalar(place, Node.Kind.NULL, "");
      case VALUE_TRUE, VALUE_FALSE -> new Node.Scalar(place, Node.Kind.BOOLEAN, parser.getText());
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT ->
          new Node.Scalar(place, Node.Kind.NUMBER, parser.getText());
      case VALUE_STRING -> new Node.Scalar(place, Node.Kind.TEXT, parser.getText());
      default -> throw new IllegalStateException("no such token in YAML: " + token);
    };
  }

  private Node sequence(Node.Place place, String path) throws IOException {
    List<Node> elements = new ArrayList<>();
    for (JsonToken token = parser.nextToken();
        token != JsonToken.END_ARRAY;
        token = parser.nextToken()) {
      elements.add(node(token, place(), path + "[" + elements.size() + "]"));
    }
    return new Node.Sequence(place, elements);
  }

  private Node mapping(Node.Place place, String path) throws IOException {
    Map<String, Node> entries = new LinkedHashMap<>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      Node.Place keyPlace = place();
      String keyPath = Checks.join(path, Quoted.shortened(key));
      Node value = node(parser.nextToken(), keyPlace, keyPath);
      Node earlier = entries.putIfAbsent(key, value);
      if (earlier != null) {
        violations.add(
            new Violation(
                keyPlace.toString(),
                List.of(keyPath),
                "is given twice, first at " + earlier.place() + ": keep one"));
      }
    }
    return new Node.Mapping(place, entries);
  }

  private Node.Place place() {
    return new Node.Place(source, hasLines ? parser.currentTokenLocation().getLineNr() : 0);
  }

  private void note(String problem) {
    violations.add(new Violation(place().toString(), List.of(""), problem));
  }
}
