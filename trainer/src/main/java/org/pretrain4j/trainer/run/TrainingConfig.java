package org.pretrain4j.trainer.run;

import java.util.List;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;
import org.pretrain4j.trainer.device.DeviceChoice;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.FusedOperator;
import org.pretrain4j.trainer.model.Kernels;

/** The size of a step and what it computes in. */
public record TrainingConfig(
    @Key("Tokens of a row") int sequenceLength,
    @Key("Tokens of a step over all ranks; a multiple of sequence_length") long globalBatchTokens,
    @Key("Rows of one forward and backward pass on a rank") int microBatchSize,
    @Key("Number format of forward and backward; master weights and moments are always fp32")
        @Default("bf16")
        Precision precision,
    @Key(
            "How forward and backward are computed: `fused` kernels of our own between the matrix"
                + " products, or `composed` of libtorch's elementary operators")
        @Default("fused")
        Kernels kernels,
    @Key(
            "Operators of the fused pass that libtorch's elementary operators replace, one by one:"
                + " slower, for measuring what each one gains or where one misbehaves")
        @Default("[]")
        List<FusedOperator> composedOperators,
    @Key(
            "What of each layer is not kept for the backward pass but computed again there, with the"
                + " same gradients: `none`; `selected`, the hidden activations of the feed-forward"
                + " network, most of the memory; `full`, all but the layer's input")
        @Default("none")
        ActivationCheckpointing activationCheckpointing,
    @Key(
            "What it is computed on: `cuda`, one GPU for each rank; `cpu`; or"
                + " `auto`, GPUs where libtorch is built for them and the machine has some")
        @Default("auto")
        DeviceChoice device,
    @Key("Whether a token sees only the tokens of its own document") @Default("true")
        boolean intraDocumentMasking,
    @Key(
            "Steps in a row that may be skipped for a loss or gradient that is not finite, or for a"
                + " spike; one more ends the run with exit code 4")
        @Default("5")
        int maxSkippedSteps,
    @Key("Losses far above the latest ones") @Default("{}") LossSpikeConfig lossSpikes) {

  /** Number formats of the computation. */
  public enum Precision {
    BF16,
    FP32
  }

  public TrainingConfig {
    Checks checks = new Checks();
    checks.positive("sequence_length", sequenceLength);
    checks.positive("global_batch_tokens", globalBatchTokens);
    checks.positive("micro_batch_size", microBatchSize);
    checks.notNegative("max_skipped_steps", maxSkippedSteps);
    composedOperators = List.copyOf(composedOperators);
    checks.require(
        kernels == Kernels.FUSED || composedOperators.isEmpty(),
        List.of("composed_operators", "kernels"),
        "is set, but kernels: composed has no fused operators: remove one of the two");
    checks.present("device", device).present("loss_spikes", lossSpikes);
    checks.together(
        List.of("global_batch_tokens", "sequence_length"),
        () -> globalBatchTokens % sequenceLength == 0,
        globalBatchTokens,
        "a multiple of sequence_length "
            + sequenceLength
            + ", such as "
            + multipleNear(globalBatchTokens, sequenceLength));
    checks.throwIfAny();
  }

  /** Rows of a step over all ranks. */
  public long rowsPerStep() {
    return globalBatchTokens / sequenceLength;
  }

  /** Micro-batches a step of the rank that has the most. */
  public int mostMicroBatches(long ranks) {
    return Math.toIntExact(Math.ceilDiv(Math.ceilDiv(rowsPerStep(), ranks), microBatchSize));
  }

  private static long multipleNear(long tokens, long length) {
    return length <= 0 ? tokens : Math.max(1, tokens / length) * length;
  }
}
