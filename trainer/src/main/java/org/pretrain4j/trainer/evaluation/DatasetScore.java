package org.pretrain4j.trainer.evaluation;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;

/**
 * How well a model predicts a dataset.
 *
 * @param documents number of documents
 * @param tokens number of tokens that were scored: all but the first of each document, the one that
 *     ends it included
 * @param bytes of the documents' text in UTF-8
 * @param loss mean cross entropy in nats a token
 * @param perplexity its exponential
 * @param bitsPerByte sum of the cross entropies in bits, over the bytes; does not depend on the
 *     tokenizer
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record DatasetScore(
    long documents, long tokens, long bytes, double loss, double perplexity, double bitsPerByte) {

  /**
   * @param nats sum of the cross entropies
   */
  static DatasetScore of(long documents, long tokens, long bytes, double nats) {
    double loss = nats / tokens;
    return new DatasetScore(
        documents, tokens, bytes, loss, Math.exp(loss), nats / Math.log(2) / bytes);
  }
}
