package org.pretrain4j.trainer.run;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.UserException;

/**
 * Whether a checkpoint may be continued with a configuration. What decides which numbers come out
 * (model, data, batch, seed) must be as it was; how fast they come (ranks, micro-batches,
 * checkpoints) may change, as may the learning rate's future.
 */
final class ResumeCheck {

  private ResumeCheck() {}

  /**
   * @param mayChangeData whether the datasets and their mixture may be other than they were
   * @throws UserException naming what may not change but did
   */
  static void check(
      RunConfig now, Checkpoint checkpoint, FlatLayout layout, boolean mayChangeData) {
    RunConfig then = configurationOf(checkpoint);
    List<String> changed = new ArrayList<>();
    compare(changed, "model", then.model(), now.model());
    compare(changed, "seed", then.seed(), now.seed());
    compare(changed, "tokenizer", then.tokenizer(), now.tokenizer());
    compare(
        changed,
        "training.sequence_length",
        then.training().sequenceLength(),
        now.training().sequenceLength());
    compare(
        changed,
        "training.global_batch_tokens",
        then.training().globalBatchTokens(),
        now.training().globalBatchTokens());
    compare(
        changed,
        "training.intra_document_masking",
        then.training().intraDocumentMasking(),
        now.training().intraDocumentMasking());
    List<String> changedData = changedData(now, checkpoint);
    boolean onlyData = changed.isEmpty();
    changed.addAll(changedData);
    if (!onlyData || !(mayChangeData || changedData.isEmpty())) {
      throw new UserException(
          "the checkpoint "
              + checkpoint.folder()
              + " was made with other values of "
              + String.join(", ", changed)
              + "; put them back, "
              + (onlyData
                  ? "give the run another name, or change its data knowingly with"
                      + " --allow-data-change"
                  : "or give the run another name"));
    }
    if (!checkpoint.layout().equals(layout)) {
      throw new UserException(
          "the parameters in " + checkpoint.folder() + " are not those of this model");
    }
    if (checkpoint.step() > now.totalSteps()) {
      throw new UserException(
          "the checkpoint "
              + checkpoint.folder()
              + " is at step "
              + checkpoint.step()
              + ", the configuration ends at step "
              + now.totalSteps()
              + "; lengthen its last stage");
    }
  }

  /** The configuration that a checkpoint was made with. */
  static RunConfig configurationOf(Checkpoint checkpoint) {
    return ConfigurationReader.parse(
        RunConfig.class,
        checkpoint.state().configuration(),
        checkpoint.folder() + " (its configuration)");
  }

  /** The keys that decide which tokens come, and were other when the checkpoint was made. */
  static List<String> changedData(RunConfig now, Checkpoint checkpoint) {
    RunConfig then = configurationOf(checkpoint);
    List<String> changed = new ArrayList<>();
    compare(changed, "data.datasets", then.data().datasets(), now.data().datasets());
    if (changed.isEmpty()) {
      // Maps are equal in any order, but the mixture deals ties by it.
      compare(
          changed,
          "data.datasets (their order)",
          List.copyOf(then.data().datasets().keySet()),
          List.copyOf(now.data().datasets().keySet()));
    }
    stages(changed, then, now, checkpoint.step());
    return changed;
  }

  /**
   * What was planned stays planned, also for stages to come; the current stage and those after it
   * may become longer or shorter, and more may follow the last.
   */
  private static void stages(List<String> changed, RunConfig then, RunConfig now, long step) {
    for (int i = 0; i < then.stages().size(); i++) {
      String key = "stages[" + i + "]";
      if (i >= now.stages().size()) {
        changed.add(key);
        return;
      }
      compare(
          changed, key + ".mixture", then.stages().get(i).mixture(), now.stages().get(i).mixture());
      if (then.stageFirstStep(i) < step) {
        compare(changed, key + " (its first step)", then.stageFirstStep(i), now.stageFirstStep(i));
      }
    }
  }

  private static void compare(List<String> changed, String key, Object then, Object now) {
    if (!Objects.equals(then, now)) {
      changed.add(key);
    }
  }
}
