package org.pretrain4j.configuration;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;

/**
 * Collects what is wrong with one record, in its compact constructor, and then throws it all at
 * once:
 *
 * <pre>{@code
 * public HeadsConfig {
 *   Checks checks = new Checks();
 *   checks.positive("hidden_size", hiddenSize);
 *   checks.positive("num_attention_heads", numAttentionHeads);
 *   checks.together(
 *       List.of("num_attention_heads", "hidden_size"),
 *       () -> hiddenSize % numAttentionHeads == 0,
 *       numAttentionHeads,
 *       "a divisor of hidden_size " + hiddenSize);
 *   checks.throwIfAny();
 * }
 * }</pre>
 *
 * <p>Keys are written as in YAML and relative to the record; a key inside a component is a path
 * ({@code model.head_dim}, {@code stages[1].mixture.web}).
 *
 * <p>While reading a file, a component whose own text is wrong is replaced by a neutral value (0,
 * an empty text, list or map, the first constant, null for a record) so that the other components
 * are checked as well; what is then found about the replaced one is dropped. So a constructor must
 * stand 0 and empty values, and calls {@link #present} on components that are records before it
 * looks into them in {@link #together}.
 */
public final class Checks {
  private static final Pattern FOLDER_NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,99}");

  private final List<Violation> violations = new ArrayList<>();

  /**
   * Notes a violation unless {@code holds}.
   *
   * @param key the key to mend
   * @param value the offending value
   * @param expected what was expected, to be read after "expected"
   */
  public Checks require(boolean holds, String key, Object value, String expected) {
    if (!holds) {
      violations.add(
          new Violation("", List.of(key), "is " + shown(value) + ", expected " + expected));
    }
    return this;
  }

  /**
   * A condition on several keys. It is evaluated only if none of them has a violation already, so
   * it may divide by a value that was found positive.
   *
   * @param keys the keys involved, the one to mend first
   * @param value the offending value of the first key
   * @param expected what was expected, to be read after "expected"
   */
  public Checks together(List<String> keys, BooleanSupplier holds, Object value, String expected) {
    if (keys.stream().noneMatch(this::violated) && !holds.getAsBoolean()) {
      violations.add(new Violation("", keys, "is " + shown(value) + ", expected " + expected));
    }
    return this;
  }

  /**
   * Notes a violation of several keys unless {@code holds} or one of them has a violation already.
   *
   * @param keys the keys involved, the one to mend first; the empty key is the record itself
   * @param problem what is wrong with the first key and how to mend it, to be read after the key
   */
  public Checks require(boolean holds, List<String> keys, String problem) {
    if (!holds && keys.stream().noneMatch(this::violated)) {
      violations.add(new Violation("", keys, problem));
    }
    return this;
  }

  /** Takes over what was found wrong with a component. */
  public Checks addAll(String component, ConfigurationException found) {
    for (Violation violation : found.violations()) {
      violations.add(
          new Violation(
              violation.where(),
              violation.keys().stream().map(key -> join(component, key)).toList(),
              violation.problem()));
    }
    return this;
  }

  /** A whole number of at least 1. */
  public Checks positive(String key, long value) {
    return require(value > 0, key, value, "a whole number of at least 1");
  }

  /** A whole number of at least 0. */
  public Checks notNegative(String key, long value) {
    return require(value >= 0, key, value, "a whole number of at least 0");
  }

  /** A finite number above 0. */
  public Checks positive(String key, double value) {
    return require(Double.isFinite(value) && value > 0, key, value, "a finite number above 0");
  }

  /** A finite number of at least 0. */
  public Checks notNegative(String key, double value) {
    return require(
        Double.isFinite(value) && value >= 0, key, value, "a finite number of at least 0");
  }

  /** A number of the half-open interval [low, high). */
  public Checks within(String key, double value, double low, double high) {
    return require(
        value >= low && value < high, key, value, "a number from " + low + " to below " + high);
  }

  /** A text that is not blank. */
  public Checks notBlank(String key, String value) {
    return require(value != null && !value.isBlank(), key, value, "a text that is not empty");
  }

  /** A component that is there; for components that are records. */
  public Checks present(String key, Object value) {
    if (value == null) {
      violations.add(new Violation("", List.of(key), "is missing"));
    }
    return this;
  }

  /** A name that is safe as that of a folder on any file system. */
  public Checks folderName(String key, String value) {
    return require(
        value != null && FOLDER_NAME.matcher(value).matches(),
        key,
        value,
        "a name of at most 100 letters, digits, '.', '_' and '-' that starts with none of . and -,"
            + " since it names a folder");
  }

  /** Throws {@link ConfigurationException} if there is a violation. */
  public void throwIfAny() {
    if (!violations.isEmpty()) {
      throw new ConfigurationException(violations);
    }
  }

  /** The path of a key inside a component. */
  static String join(String component, String key) {
    return component.isEmpty() || key.isEmpty() || key.startsWith("[")
        ? component + key
        : component + "." + key;
  }

  private boolean violated(String key) {
    return violations.stream().anyMatch(violation -> isWithin(key, violation.key()));
  }

  private static boolean isWithin(String key, String outer) {
    return key.startsWith(outer)
        && (key.length() == outer.length() || ".[".indexOf(key.charAt(outer.length())) >= 0);
  }

  private static String shown(Object value) {
    return value instanceof CharSequence text ? Quoted.of(text.toString()) : String.valueOf(value);
  }
}
