package org.pretrain4j.configuration;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Makes a record component a key of the configuration. The key is the component's name in
 * snake_case: {@code numKeyValueHeads} is written {@code num_key_value_heads}.
 */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Key {
  /** One sentence on what the key means, with its unit; it goes into the reference manual. */
  String value();
}
