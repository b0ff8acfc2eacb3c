package org.pretrain4j.trainer.run;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.DataChange;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.stream.StagePlan;

/**
 * What a run's steps were made of before the checkpoint it goes on from. As long as nothing
 * changes, the configuration says it all. A change becomes a new stretch of steps: each dataset
 * goes on where it stood, as at a change of stages.
 */
final class DataHistory {
  private final RunConfig config;
  private final Optional<Checkpoint> checkpoint;
  private final boolean mayChange;

  /**
   * @param checkpoint that the run goes on from
   * @param mayChange whether its data may be other than it was
   */
  DataHistory(RunConfig config, Optional<Checkpoint> checkpoint, boolean mayChange) {
    this.config = config;
    this.checkpoint = checkpoint;
    this.mayChange = mayChange;
  }

  /**
   * The datasets that are read or were read.
   *
   * @throws UserException if one that was read is not configured any more
   */
  Set<String> datasets() {
    Set<String> datasets = new LinkedHashSet<>();
    checkpoint.ifPresent(found -> datasets.addAll(found.state().datasetChecksums().keySet()));
    for (String name : datasets) {
      if (!config.data().datasets().containsKey(name)) {
        throw new UserException(
            "data.datasets."
                + name
                + " is gone, but the run has read it; leave it there, even if no mixture names it");
      }
    }
    datasets.addAll(RunData.usedDatasets(config, List.of()));
    return datasets;
  }

  /**
   * All changes, one at the checkpoint included if there is one.
   *
   * @param checksums of the datasets as they are now
   * @throws UserException naming what changed, if nothing may
   */
  List<DataChange> changes(Map<String, String> checksums) {
    if (checkpoint.isEmpty()) {
      return List.of();
    }
    Checkpoint found = checkpoint.get();
    List<DataChange> earlier = found.state().dataChanges();
    List<String> changed = new ArrayList<>(ResumeCheck.changedData(config, found));
    List<String> otherTokens = otherTokens(found.state().datasetChecksums(), checksums);
    if (!otherTokens.isEmpty() && !mayChange) {
      throw new UserException(
          "the tokens of "
              + String.join(", ", otherTokens)
              + " are not those that "
              + found.folder()
              + " was trained on; put the old shards back, give the run another name, or change its"
              + " data knowingly with --allow-data-change");
    }
    otherTokens.forEach(name -> changed.add("tokens of " + name));
    if (changed.isEmpty()) {
      return earlier;
    }
    List<DataChange> all = new ArrayList<>(earlier);
    all.add(
        new DataChange(
            found.step(), changed, before(found, earlier), found.state().datasetChecksums()));
    return all;
  }

  private static List<String> otherTokens(Map<String, String> then, Map<String, String> now) {
    return then.keySet().stream()
        .filter(name -> now.containsKey(name) && !now.get(name).equals(then.get(name)))
        .toList();
  }

  /** The stretches of the old plan between the last change and the checkpoint. */
  private static List<DataChange.Stretch> before(Checkpoint found, List<DataChange> earlier) {
    StagePlan plan = RunData.plan(ResumeCheck.configurationOf(found), earlier);
    List<DataChange.Stretch> stretches = new ArrayList<>();
    long step = earlier.isEmpty() ? 0 : earlier.getLast().step();
    while (step < found.step()) {
      int stage = plan.stageAt(step);
      long end = Math.min(found.step(), plan.firstStep(stage + 1));
      stretches.add(
          new DataChange.Stretch(
              plan.stage(stage).name(), end - step, plan.stage(stage).mixture()));
      step = end;
    }
    return stretches;
  }
}
