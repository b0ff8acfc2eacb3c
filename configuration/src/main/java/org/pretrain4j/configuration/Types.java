package org.pretrain4j.configuration;

import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** The types that a key may have. */
final class Types {
  private Types() {}

  /** Whether a type is the given generic class with some arguments. */
  static boolean isRaw(Type type, Class<?> raw) {
    return type instanceof ParameterizedType generic && generic.getRawType() == raw;
  }

  /**
   * The last type argument: X of {@code List<X>}, {@code Optional<X>} and {@code Map<String, X>}.
   */
  static Type element(Type type) {
    return ((ParameterizedType) type).getActualTypeArguments()[isRaw(type, Map.class) ? 1 : 0];
  }

  /** What stands for a value that could not be read, so that other checks can still run. */
  static Object neutral(Type type) {
    if (isRaw(type, List.class)) {
      return List.of();
    }
    if (isRaw(type, Map.class)) {
      return Map.of();
    }
    if (isRaw(type, Optional.class)) {
      return Optional.empty();
    }
    Class<?> plain = (Class<?>) type;
    if (plain.isEnum()) {
      return plain.getEnumConstants()[0];
    }
    return switch (plain.getName()) {
      case "int" -> 0;
      case "long" -> 0L;
      case "double" -> 0.0;
      case "boolean" -> false;
      case "java.lang.String" -> "";
      default -> null;
    };
  }

  /** The words of an enum, in its order. */
  static List<String> words(Class<?> type) {
    return Arrays.stream(type.getEnumConstants()).map(c -> word((Enum<?>) c)).toList();
  }

  /** How a constant is written. */
  static String word(Enum<?> constant) {
    try {
      Spelled spelled =
          constant.getDeclaringClass().getField(constant.name()).getAnnotation(Spelled.class);
      return spelled == null
          ? constant.name().toLowerCase(Locale.ROOT).replace('_', '-')
          : spelled.value();
    } catch (NoSuchFieldException e) {
      throw new IllegalStateException("an enum constant is a field", e);
    }
  }
}
