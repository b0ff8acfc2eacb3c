/**
 * The order of training: which sequence of which dataset is row r of step s. It is a pure function
 * of configuration, seed and step, so there is no loader state to save, resuming at any step costs
 * the same, and any number of ranks reads the same global batch.
 *
 * <p>{@link org.pretrain4j.data.stream.Mixture} decides which dataset each sample of a stage comes
 * from, {@link org.pretrain4j.data.stream.StagePlan} strings the stages together, {@link
 * org.pretrain4j.data.stream.TokenStream} fetches the rows, {@link
 * org.pretrain4j.data.stream.ReadAhead} fetches them before they are needed.
 *
 * <pre>{@code
 * StagePlan plan = new StagePlan(List.of("web", "math"), rowsPerStep,
 *     List.of(new Stage("warm", 100, Map.of("web", 0.9, "math", 0.1))));
 * TokenStream stream = new TokenStream(plan, List.of(webWindows, mathWindows));
 * try (ReadAhead rows = new ReadAhead(stream, firstStep, fromRow, toRow, 4, 2)) {
 *   List<Row> mine = rows.next();
 * }
 * }</pre>
 */
package org.pretrain4j.data.stream;
