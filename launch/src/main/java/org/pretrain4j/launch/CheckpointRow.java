package org.pretrain4j.launch;

import java.util.List;
import org.pretrain4j.checkpoints.CheckpointListing;

/**
 * What is shown of a checkpoint. What can't be read of a damaged one is null.
 *
 * @param step steps done
 * @param folder where it lies
 * @param stage of its last step
 * @param tokens consumed
 * @param ranks that wrote it
 * @param bytes of its tensors
 * @param savedAt when it was published
 * @param tags names under which it is pinned
 * @param problem what is wrong with it, null if nothing is
 */
record CheckpointRow(
    long step,
    String folder,
    String stage,
    Long tokens,
    Integer ranks,
    Long bytes,
    String savedAt,
    List<String> tags,
    String problem) {

  static CheckpointRow of(CheckpointListing.Entry entry) {
    return entry
        .checkpoint()
        .map(
            found ->
                new CheckpointRow(
                    entry.step(),
                    found.folder().toString(),
                    found.state().stage(),
                    found.state().tokens(),
                    found.worldSize(),
                    found.bytes(),
                    found.savedAt().toString(),
                    entry.tags(),
                    entry.problem().orElse(null)))
        .orElseGet(
            () ->
                new CheckpointRow(
                    entry.step(),
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    entry.tags(),
                    entry.problem().orElse(null)));
  }

  /** Adds a line of {@link #table}. */
  void addTo(TextTable table, String good) {
    table.add(
        HumanUnits.exact(step),
        tokens == null ? "-" : HumanUnits.exact(tokens),
        stage == null ? "-" : stage,
        ranks == null ? "-" : HumanUnits.exact(ranks),
        bytes == null ? "-" : HumanUnits.bytes(bytes),
        savedAt == null ? "-" : savedAt,
        String.join(" ", tags),
        problem == null ? good : problem);
  }

  static TextTable table() {
    return new TextTable(" step", " tokens", "stage", " ranks", " size", "saved", "tags", "state");
  }
}
