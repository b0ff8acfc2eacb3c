/**
 * Strict YAML into records.
 *
 * <p>A configuration is a record beside the component that it configures. Its components are the
 * keys, {@link org.pretrain4j.configuration.Key} says what they mean, {@link
 * org.pretrain4j.configuration.Default} makes them optional, and the compact constructor refuses
 * impossible values through {@link org.pretrain4j.configuration.Checks}:
 *
 * <pre>{@code
 * public record ClipConfig(
 *     @Key("global L2 norm above which gradients are scaled down") @Default("1.0") double maxNorm) {
 *   public ClipConfig {
 *     new Checks().positive("max_norm", maxNorm).throwIfAny();
 *   }
 * }
 * }</pre>
 *
 * <p>{@link org.pretrain4j.configuration.ConfigurationReader} reads a file into such a record and
 * reports all that is wrong at once, each with its line; {@link
 * org.pretrain4j.configuration.ConfigurationWriter} writes a record with all its keys:
 *
 * <pre>{@code
 * RunConfig run = ConfigurationReader.read(RunConfig.class, Path.of("run.yaml"), List.of("seed=7"));
 * String resolved = ConfigurationWriter.toYaml(run);
 * }</pre>
 *
 * <p>Component types: String, boolean, int, long, double, enums, records, {@code List<X>}, {@code
 * Map<String, X>} and {@code Optional<X>}.
 */
package org.pretrain4j.configuration;
