package org.pretrain4j.trainer.run;

import java.util.List;
import org.pretrain4j.checkpoints.DataChange;
import org.pretrain4j.data.stream.TokenStream;

/**
 * The tokens of a run.
 *
 * @param changes of its data so far
 */
record OpenedData(TokenStream stream, List<DataChange> changes) {
  OpenedData {
    changes = List.copyOf(changes);
  }
}
