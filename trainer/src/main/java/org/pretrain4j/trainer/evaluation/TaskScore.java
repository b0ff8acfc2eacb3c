package org.pretrain4j.trainer.evaluation;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;

/**
 * How often a model finds the right choice likeliest.
 *
 * @param questions number of questions
 * @param accuracy share of them where the right choice has the highest log-likelihood
 * @param accuracyByCharacters the same with log-likelihoods divided by the characters of the choice
 * @param accuracyByTokens the same with log-likelihoods divided by the tokens of the choice
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record TaskScore(
    long questions, double accuracy, double accuracyByCharacters, double accuracyByTokens) {}
