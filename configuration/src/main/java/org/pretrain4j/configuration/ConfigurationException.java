package org.pretrain4j.configuration;

import java.util.List;
import java.util.stream.Collectors;

/**
 * All that is wrong with a configuration. The message has a line for each violation: this is the
 * one user message that may have more than one line, so that a file is mended in one go.
 */
public final class ConfigurationException extends UserException {
  private static final long serialVersionUID = 1L;

  private final transient List<Violation> violations;

  public ConfigurationException(List<Violation> violations) {
    super(violations.stream().map(Violation::line).collect(Collectors.joining("\n")));
    if (violations.isEmpty()) {
      throw new IllegalArgumentException("an exception needs a violation");
    }
    this.violations = List.copyOf(violations);
  }

  /** What is wrong, in the order of the message. */
  public List<Violation> violations() {
    return violations;
  }
}
