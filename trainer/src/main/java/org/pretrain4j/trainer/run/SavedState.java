package org.pretrain4j.trainer.run;

import java.util.LinkedHashMap;
import java.util.Map;
import org.pretrain4j.checkpoints.CheckpointState;
import org.pretrain4j.configuration.ConfigurationWriter;
import org.pretrain4j.data.stream.Ledger;
import org.pretrain4j.data.stream.TokenStream;
import org.pretrain4j.trainer.optim.StepGuard;

/** What a checkpoint says besides its tensors, from the run's side. */
final class SavedState {
  private static final String SKIPPED = "skipped_steps";
  private static final String SKIPPED_IN_A_ROW = "skipped_steps_in_a_row";

  private SavedState() {}

  static CheckpointState of(
      RunConfig config, OpenedData data, long stepsDone, StepGuard.State guard) {
    TokenStream stream = data.stream();
    Map<String, Long> tokens = new LinkedHashMap<>();
    for (Ledger.Entry entry : stream.ledger(stepsDone).entries()) {
      tokens.put(entry.dataset(), entry.tokens());
    }
    Map<String, Long> counters = new LinkedHashMap<>();
    counters.put(SKIPPED, guard.skipped());
    counters.put(SKIPPED_IN_A_ROW, guard.skippedInARow());
    int stage = stream.plan().stageAt(Math.max(0, stepsDone - 1));
    return CheckpointState.builder(stepsDone)
        .tokens(stepsDone * config.training().globalBatchTokens())
        .stage(stream.plan().stage(stage).name())
        .tokensByDataset(tokens)
        .datasetChecksums(stream.checksums())
        .dataChanges(data.changes())
        .seed(config.seed())
        .counters(counters)
        .spikeWindow(guard.losses())
        .configuration(ConfigurationWriter.toYaml(config))
        .versions(versions())
        .build();
  }

  static StepGuard.State guardOf(CheckpointState state) {
    return new StepGuard.State(
        state.counters().getOrDefault(SKIPPED, 0L),
        state.counters().getOrDefault(SKIPPED_IN_A_ROW, 0L),
        state.spikeWindow());
  }

  private static Map<String, String> versions() {
    Map<String, String> versions = new LinkedHashMap<>();
    versions.put("java", Runtime.version().toString());
    String own = SavedState.class.getPackage().getImplementationVersion();
    versions.put("pretrain4j", own == null ? "unpackaged" : own);
    return versions;
  }
}
