package org.pretrain4j.configuration;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * How an enum constant is written in YAML where that is not its name in lower case with {@code -}
 * for {@code _}; for words that are no Java names, such as {@code 1-sqrt}.
 */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.FIELD)
public @interface Spelled {
  /** The word in YAML. */
  String value();
}
