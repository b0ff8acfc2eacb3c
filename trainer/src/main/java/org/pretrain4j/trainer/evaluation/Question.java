package org.pretrain4j.trainer.evaluation;

import java.util.List;

/**
 * A question with its choices.
 *
 * @param context what the model is given
 * @param separator what stands between it and a choice
 * @param choices texts, at least two
 * @param answer the right one, counted from 0
 * @param place file and line that it comes from, for messages
 */
record Question(String context, String separator, List<String> choices, int answer, String place) {}
