package org.pretrain4j.data.curation;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.data.text.Document;

/**
 * What was dropped and why.
 *
 * @param kept documents
 * @param keptCharacters in them
 * @param dropped by reason; reasons that hit nothing are not there
 */
public record CurationReport(long kept, long keptCharacters, Map<DropReason, Dropped> dropped) {
  private static final int EXAMPLES = 3;

  /**
   * @param examples where the first of them came from
   */
  public record Dropped(long documents, long characters, List<String> examples) {
    public Dropped {
      examples = List.copyOf(examples);
    }
  }

  public CurationReport {
    // In the order of the reasons: a copy's own order would differ from process to process.
    Map<DropReason, Dropped> ordered = new EnumMap<>(DropReason.class);
    ordered.putAll(dropped);
    dropped = Collections.unmodifiableMap(ordered);
  }

  /** One line for each reason. */
  @Override
  public String toString() {
    StringBuilder lines = new StringBuilder();
    lines.append("kept ").append(kept).append(" documents, ").append(keptCharacters);
    lines.append(" characters");
    for (DropReason reason : DropReason.values()) {
      Dropped count = dropped.get(reason);
      if (count != null) {
        lines.append('\n').append(reason).append(": dropped ").append(count.documents());
        lines.append(" documents, ").append(count.characters()).append(" characters, such as ");
        lines.append(String.join(", ", count.examples()));
      }
    }
    return lines.toString();
  }

  /** Collects a report. */
  static final class Builder {
    private final Map<DropReason, Dropped> dropped = new EnumMap<>(DropReason.class);
    private long kept;
    private long keptCharacters;

    void add(Document document, Optional<DropReason> reason) {
      int characters = document.size();
      if (reason.isEmpty()) {
        kept++;
        keptCharacters += characters;
        return;
      }
      Dropped before = dropped.getOrDefault(reason.get(), new Dropped(0, 0, List.of()));
      List<String> examples = new ArrayList<>(before.examples());
      if (examples.size() < EXAMPLES) {
        examples.add(document.origin());
      }
      dropped.put(
          reason.get(),
          new Dropped(before.documents() + 1, before.characters() + characters, examples));
    }

    CurationReport build() {
      return new CurationReport(kept, keptCharacters, dropped);
    }
  }
}
