package org.pretrain4j.trainer.evaluation;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.util.Map;

/**
 * What an evaluation came to, by name of dataset and task, in the order of the configuration.
 *
 * @param seconds that it took
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record EvaluationResult(
    Map<String, DatasetScore> datasets, Map<String, TaskScore> tasks, double seconds) {}
