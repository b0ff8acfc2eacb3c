package org.pretrain4j.trainer.exchange;

/**
 * What came of an export, measured with what was read back.
 *
 * @param model where the weights came from
 * @param parameters number of weights
 * @param type name of the type that they were written in
 * @param probeTokens number of tokens whose logits were compared
 * @param sameBits whether the logits are, bit for bit, those of the weights after one rounding to
 *     that type; not asked of types that rescale them
 * @param difference root mean square of the difference between the logits and those of the weights
 *     in fp32, as a share of the latter's spread
 * @param tolerance the largest difference that passes
 */
public record ExportReport(
    String model,
    long parameters,
    String type,
    int probeTokens,
    boolean sameBits,
    double difference,
    double tolerance) {}
