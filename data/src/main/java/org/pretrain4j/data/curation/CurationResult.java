package org.pretrain4j.data.curation;

import java.util.List;
import org.pretrain4j.data.text.DocumentInput;

/**
 * The decisions of a {@link Curation}.
 *
 * @param inputs those that were given, without the dropped documents
 */
public record CurationResult(List<DocumentInput> inputs, CurationReport report) {
  public CurationResult {
    inputs = List.copyOf(inputs);
  }
}
