package org.pretrain4j.configuration;

import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The keys of a record, as its components and their annotations declare them. */
record Schema(Class<?> type, List<Component> components) {

  /**
   * Annotations are parsed anew by each look at a class, which a long list of records would feel.
   */
  private static final ClassValue<Schema> CACHE =
      new ClassValue<>() {
        @Override
        protected Schema computeValue(Class<?> type) {
          return derive(type);
        }
      };

  /**
   * A key.
   *
   * @param name in snake_case
   * @param defaultText YAML, absent for a required key
   * @param defaultNode the same parsed
   * @param defaultMeaning how a manual shows the default; empty if the text says it all
   */
  record Component(
      String name,
      Type type,
      String description,
      Optional<String> defaultText,
      Optional<Node> defaultNode,
      String defaultMeaning) {

    boolean isOptional() {
      return Types.isRaw(type, Optional.class);
    }
  }

  static Schema of(Class<?> type) {
    return CACHE.get(type);
  }

  private static Schema derive(Class<?> type) {
    if (!type.isRecord()) {
      throw new IllegalArgumentException(type + " is no record");
    }
    return new Schema(
        type,
        Arrays.stream(type.getRecordComponents())
            .map(
                component -> {
                  Key key = component.getAnnotation(Key.class);
                  if (key == null) {
                    throw new IllegalStateException(
                        type.getName() + "." + component.getName() + " lacks @Key");
                  }
                  Optional<Default> given =
                      Optional.ofNullable(component.getAnnotation(Default.class));
                  return new Component(
                      snakeCase(component.getName()),
                      component.getGenericType(),
                      key.value(),
                      given.map(Default::value),
                      given.map(Default::value).map(Schema::parse),
                      given.map(Default::meaning).orElse(""));
                })
            .toList());
  }

  private static Node parse(String defaultText) {
    List<Violation> wrong = new ArrayList<>();
    return YamlTree.parse(defaultText, "default " + defaultText, false, wrong)
        .orElseThrow(() -> new IllegalStateException("no YAML in @Default: " + wrong));
  }

  List<String> names() {
    return components.stream().map(Component::name).toList();
  }

  Optional<Component> component(String name) {
    return components.stream().filter(component -> component.name().equals(name)).findFirst();
  }

  /**
   * Makes the record.
   *
   * @throws ConfigurationException from its constructor
   */
  Object create(List<Object> values) {
    Class<?>[] types =
        Arrays.stream(type.getRecordComponents())
            .map(component -> component.getType())
            .toArray(Class<?>[]::new);
    try {
      Constructor<?> constructor = type.getDeclaredConstructor(types);
      return constructor.newInstance(values.toArray());
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException("constructor of " + type.getName(), e.getCause());
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(type.getName() + " must be public, as its package", e);
    }
  }

  /** {@code numKeyValueHeads} as {@code num_key_value_heads}. */
  static String snakeCase(String camelCase) {
    StringBuilder snake = new StringBuilder();
    for (char c : camelCase.toCharArray()) {
      if (Character.isUpperCase(c)) {
        snake.append('_');
      }
      snake.append(Character.toLowerCase(c));
    }
    return snake.toString();
  }
}
