package org.pretrain4j.configuration;

import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Writes a record as YAML with all its keys, so that it reads back to an equal record. */
public final class ConfigurationWriter {
  private static final YAMLFactory FACTORY =
      YAMLFactory.builder()
          .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
          .disable(YAMLGenerator.Feature.SPLIT_LINES)
          .enable(YAMLGenerator.Feature.INDENT_ARRAYS_WITH_INDICATOR)
          .build();

  private ConfigurationWriter() {}

  /** The record as a text of YAML. */
  public static String toYaml(Record configuration) {
    StringWriter text = new StringWriter();
    try (YAMLGenerator generator = FACTORY.createGenerator(text)) {
      write(generator, configuration);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to a text in memory", e);
    }
    return text.toString();
  }

  private static void write(YAMLGenerator generator, Object value) throws IOException {
    switch (value) {
      case Record inner -> {
        generator.writeStartObject();
        for (RecordComponent component : inner.getClass().getRecordComponents()) {
          generator.writeFieldName(Schema.snakeCase(component.getName()));
          write(generator, valueOf(inner, component));
        }
        generator.writeEndObject();
      }
      case Map<?, ?> map -> {
        generator.writeStartObject();
        for (Map.Entry<?, ?> entry : map.entrySet()) {
          generator.writeFieldName((String) entry.getKey());
          write(generator, entry.getValue());
        }
        generator.writeEndObject();
      }
      case List<?> list -> {
        generator.writeStartArray();
        for (Object element : list) {
          write(generator, element);
        }
        generator.writeEndArray();
      }
      case Optional<?> optional -> {
        if (optional.isEmpty()) {
          generator.writeNull();
        } else {
          write(generator, optional.get());
        }
      }
      case Enum<?> constant -> generator.writeString(Types.word(constant));
      case String text -> generator.writeString(text);
      case Boolean truth -> generator.writeBoolean(truth);
      case Double number -> generator.writeNumber(readable(number));
      case Integer number -> generator.writeNumber(number);
      case Long number -> generator.writeNumber(number);
      default -> throw new IllegalArgumentException("no configuration: " + value.getClass());
    }
  }

  /** The shortest digits that give the same double, without an exponent where that reads well. */
  private static String readable(double number) {
    BigDecimal exact = new BigDecimal(Double.toString(number)).stripTrailingZeros();
    int exponent = exact.precision() - exact.scale() - 1;
    return exact.signum() == 0
        ? Double.toString(number)
        : exponent >= -5 && exponent < 16 ? exact.toPlainString() : exact.toString();
  }

  private static Object valueOf(Record record, RecordComponent component) {
    try {
      return component.getAccessor().invoke(record);
    } catch (InvocationTargetException | IllegalAccessException e) {
      throw new IllegalStateException("accessor of " + component, e);
    }
  }
}
