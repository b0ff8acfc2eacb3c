package org.pretrain4j.configuration;

import java.lang.reflect.Type;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** The keys of a record and of all records in it as tables in Markdown: a reference manual. */
public final class ConfigurationReference {
  private ConfigurationReference() {}

  /** A section for each record, outermost first, each with a table of its keys. */
  public static String tables(Class<? extends Record> root) {
    StringBuilder text = new StringBuilder();
    section(text, root, "");
    return text.toString();
  }

  private static void section(StringBuilder text, Class<?> record, String path) {
    Schema schema = Schema.of(record);
    text.append(path.isEmpty() ? "## Keys of a run\n\n" : "\n## `" + path + "`\n\n");
    text.append("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (Schema.Component component : schema.components()) {
      text.append(
          "| `%s` | %s | %s | %s |\n"
              .formatted(
                  component.name(),
                  cell(kind(component.type())),
                  cell(defaultOf(component)),
                  cell(component.description())));
    }
    for (Schema.Component component : schema.components()) {
      Type type = component.type();
      String inner = Checks.join(path, component.name());
      while (!(type instanceof Class<?>)) {
        inner +=
            Types.isRaw(type, List.class) ? "[]" : Types.isRaw(type, Map.class) ? ".<name>" : "";
        type = Types.element(type);
      }
      if (((Class<?>) type).isRecord()) {
        section(text, (Class<?>) type, inner);
      }
    }
  }

  private static String kind(Type type) {
    if (Types.isRaw(type, Optional.class)) {
      return kind(Types.element(type));
    }
    if (Types.isRaw(type, List.class)) {
      return "list of " + kind(Types.element(type));
    }
    if (Types.isRaw(type, Map.class)) {
      return "name: " + kind(Types.element(type));
    }
    Class<?> plain = (Class<?>) type;
    if (plain.isRecord()) {
      return "keys below";
    }
    if (plain.isEnum()) {
      return Types.words(plain).stream().map(w -> "`" + w + "`").collect(Collectors.joining(" | "));
    }
    return switch (plain.getName()) {
      case "java.lang.String" -> "text";
      case "boolean", "java.lang.Boolean" -> "`true` | `false`";
      case "double", "java.lang.Double" -> "number";
      default -> "whole number";
    };
  }

  private static String defaultOf(Schema.Component component) {
    if (!component.defaultMeaning().isEmpty()) {
      return component.defaultMeaning();
    }
    return component
        .defaultText()
        .map(text -> "`" + text + "`")
        .orElse(component.isOptional() ? "absent" : "**required**");
  }

  private static String cell(String text) {
    return text.replace("|", "\\|");
  }
}
