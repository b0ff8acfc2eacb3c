package org.pretrain4j.configuration;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Makes a key optional. Without it a key is required, unless its type is {@link
 * java.util.Optional}.
 */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Default {
  /** The value in YAML, as a user would write it: {@code 0.9}, {@code 25M}, {@code []}. */
  String value();

  /** How the reference manual shows the default where the value alone would not be understood. */
  String meaning() default "";
}
