package org.pretrain4j.configuration;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A file with everything that it extends merged in, every node still knowing its own file. */
final class ConfigurationFile {
  private static final String EXTENDS = "extends";
  private static final int MAX_BYTES = 3 << 20;

  private final List<Violation> violations;

  private ConfigurationFile(List<Violation> violations) {
    this.violations = violations;
  }

  /**
   * Reads a file.
   *
   * @return its keys, or empty if there are none; why is then among the violations
   */
  static Optional<Node.Mapping> read(Path file, List<Violation> violations) {
    return new ConfigurationFile(violations).load(file, Optional.empty(), List.of());
  }

  /** The keys of a text; a violation where the text is empty or no mapping. */
  static Optional<Node.Mapping> parse(
      String text, String source, boolean hasLines, List<Violation> violations) {
    int before = violations.size();
    Optional<Node> root = YamlTree.parse(text, source, hasLines, violations);
    if (root.isPresent() && root.get() instanceof Node.Mapping mapping) {
      return Optional.of(mapping);
    }
    if (root.isPresent()) {
      String shown = root.get().shown();
      violations.add(
          new Violation(
              root.get().place().toString(),
              List.of(""),
              "is " + shown + " as a whole, expected keys with values"));
    } else if (violations.size() == before) {
      violations.add(new Violation(source, List.of(""), "is empty, expected keys with values"));
    }
    return Optional.empty();
  }

  /**
   * Loads a file and what it extends.
   *
   * @param asked where another file asks for this one
   * @param extending the files that led here, outermost first
   */
  private Optional<Node.Mapping> load(Path file, Optional<Node.Place> asked, List<Path> extending) {
    Optional<Node.Mapping> own =
        text(file, asked).flatMap(text -> parse(text, file.toString(), true, violations));
    if (own.isEmpty() || !own.get().entries().containsKey(EXTENDS)) {
      return own;
    }
    Map<String, Node> entries = new LinkedHashMap<>(own.get().entries());
    Node parent = entries.remove(EXTENDS);
    Node.Mapping rest = new Node.Mapping(own.get().place(), entries);
    return parent(file, parent)
        .flatMap(
            next -> {
              List<Path> chain = new ArrayList<>(extending);
              chain.add(identity(file));
              if (chain.contains(identity(next))) {
                note(parent.place(), "goes in a circle: " + next + " leads back to " + file);
                return Optional.empty();
              }
              return load(next, Optional.of(parent.place()), chain);
            })
        .map(base -> merge(base, rest));
  }

  private Optional<Path> parent(Path file, Node node) {
    try {
      if (node instanceof Node.Scalar scalar
          && scalar.kind() == Node.Kind.TEXT
          && !scalar.text().isBlank()) {
        return Optional.of(file.resolveSibling(scalar.text()).normalize());
      }
    } catch (InvalidPathException e) {
      // Reported below, as any other value that is no path.
    }
    note(node.place(), "is " + node.shown() + ", expected the path of another file");
    return Optional.empty();
  }

  private static Path identity(Path file) {
    return file.toAbsolutePath().normalize();
  }

  /** Mappings are merged key by key; anything else is replaced. */
  private static Node.Mapping merge(Node.Mapping base, Node.Mapping over) {
    Map<String, Node> entries = new LinkedHashMap<>(base.entries());
    over.entries()
        .forEach(
            (key, value) ->
                entries.merge(
                    key,
                    value,
                    (old, fresh) ->
                        old instanceof Node.Mapping inner && fresh instanceof Node.Mapping outer
                            ? merge(inner, outer)
                            : fresh));
    return new Node.Mapping(over.place(), entries);
  }

  private Optional<String> text(Path file, Optional<Node.Place> asked) {
    String problem;
    try {
      return Optional.of(decode(bytes(file)));
    } catch (CharacterCodingException e) {
      problem = "is not a text in UTF-8: save it as UTF-8";
    } catch (IOException e) {
      problem = why(file, e);
    }
    if (asked.isPresent()) {
      note(asked.get(), file + " " + problem);
    } else {
      violations.add(new Violation(file.toString(), List.of(""), problem));
    }
    return Optional.empty();
  }

  private static byte[] bytes(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MAX_BYTES + 1);
      if (bytes.length > MAX_BYTES) {
        throw new IOException("is larger than " + MAX_BYTES + " bytes, so it is no configuration");
      }
      return bytes;
    }
  }

  private static String decode(byte[] bytes) throws CharacterCodingException {
    String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    return text.startsWith("\uFEFF") ? text.substring(1) : text;
  }

  private static String why(Path file, IOException e) {
    if (Files.isDirectory(file)) {
      return "is a folder, expected a YAML file";
    }
    if (!Files.exists(file)) {
      return "does not exist: check the path, which is relative to " + Path.of("").toAbsolutePath();
    }
    return "cannot be read: " + Quoted.firstLine(String.valueOf(e.getMessage()));
  }

  private void note(Node.Place place, String problem) {
    violations.add(new Violation(place.toString(), List.of(EXTENDS), problem));
  }
}
