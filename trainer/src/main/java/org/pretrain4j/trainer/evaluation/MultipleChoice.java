package org.pretrain4j.trainer.evaluation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.tokens.Tokenizer;

/**
 * Multiple choice in the cloze form: the choices are not shown; each is scored as a continuation of
 * the question, by the sum of the log-likelihoods of its tokens, also divided by its characters or
 * its tokens.
 *
 * <p>Question and choice are tokenized together, and the choice's tokens are those behind as many
 * as the question alone has. White space at the end of the question goes to the choice.
 */
final class MultipleChoice {
  private final Tokenizer tokenizer;
  private final int rowLength;

  /**
   * @param rowLength most inputs; a question that is too long loses its beginning
   */
  MultipleChoice(Tokenizer tokenizer, int rowLength) {
    this.tokenizer = tokenizer;
    this.rowLength = rowLength;
  }

  TaskScore score(List<Question> questions, SegmentScores scores) {
    List<Segment> segments = new ArrayList<>();
    for (Question question : questions) {
      for (String choice : question.choices()) {
        segments.add(segment(question, choice));
      }
    }
    double[] sums = new double[segments.size()];
    int[] filled = {0};
    scores.score(segments.iterator(), sum -> sums[filled[0]++] = sum);
    long[] right = new long[3];
    int first = 0;
    for (Question question : questions) {
      int count = question.choices().size();
      double[][] byNorm = new double[right.length][count];
      for (int i = 0; i < count; i++) {
        String choice = question.choices().get(i);
        byNorm[0][i] = sums[first + i];
        byNorm[1][i] = sums[first + i] / choice.codePointCount(0, choice.length());
        byNorm[2][i] = sums[first + i] / segments.get(first + i).targets();
      }
      for (int norm = 0; norm < right.length; norm++) {
        right[norm] += likeliest(byNorm[norm]) == question.answer() ? 1 : 0;
      }
      first += count;
    }
    double all = questions.size();
    return new TaskScore(questions.size(), right[0] / all, right[1] / all, right[2] / all);
  }

  /**
   * @throws UserException if a choice does not fit into a row, or if nothing of it can be scored
   *     because no token stands before it
   */
  Segment segment(Question question, String choice) {
    String context = question.context().stripTrailing();
    String rest = question.context().substring(context.length()) + question.separator() + choice;
    int[] tokens = tokenizer.encode(context + rest);
    if (tokens.length < 2) {
      throw new UserException(
          "%s: the question is empty and the choice '%s' a single token, which nothing stands before; give the task a prompt"
              .formatted(question.place(), choice));
    }
    int before = Math.min(tokenizer.encode(context).length, tokens.length - 1);
    int cut = Math.max(0, tokens.length - rowLength - 1);
    if (cut > 0 && before <= cut) {
      throw new UserException(
          "%s: a choice of %d tokens can't be scored in windows of %d; set a larger sequence_length or leave the question out"
              .formatted(question.place(), tokens.length - before, rowLength));
    }
    return new Segment(Arrays.copyOfRange(tokens, cut, tokens.length), Math.max(1, before - cut));
  }

  /** The first of the likeliest. */
  private static int likeliest(double[] values) {
    int best = 0;
    for (int i = 1; i < values.length; i++) {
      best = values[i] > values[best] ? i : best;
    }
    return best;
  }
}
