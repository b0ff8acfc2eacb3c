/**
 * How good a model is: loss, perplexity and bits per byte on held-out text, and multiple-choice
 * tasks by log-likelihood.
 *
 * <p>Everything is a {@link org.pretrain4j.trainer.evaluation.Segment}: tokens, of which those from
 * some position on are scored given all before them. A document is cut into windows; each of its
 * tokens but the first is scored exactly once. A choice of a question is scored given the question.
 * Segments are packed into rows, each sees only itself, and rows are dealt to the ranks in turn;
 * the sums are added in the order of the segments, so they do not depend on the number of ranks.
 *
 * <pre>{@code
 * Evaluation evaluation = new Evaluation(config, storage, tokenizer, 4096, seed);
 * EvaluationResult result = evaluation.run(model::targetLogProbabilities, RankExchange.ALONE);
 * }</pre>
 */
package org.pretrain4j.trainer.evaluation;
