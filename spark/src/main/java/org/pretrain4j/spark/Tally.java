package org.pretrain4j.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/** Counts documents that met the same fate; remembers where the first ones came from. */
final class Tally implements Serializable {
  private static final long serialVersionUID = 1L;
  private static final int EXAMPLES = 3;

  private final TreeMap<Long, String> first = new TreeMap<>();
  private long documents;
  private long characters;

  Tally count(DocumentTraits document) {
    documents++;
    characters += document.characters();
    remember(document.place(), document.origin());
    return this;
  }

  Tally merge(Tally other) {
    documents += other.documents;
    characters += other.characters;
    other.first.forEach(this::remember);
    return this;
  }

  private void remember(long place, String origin) {
    first.put(place, origin);
    if (first.size() > EXAMPLES) {
      first.pollLastEntry();
    }
  }

  long documents() {
    return documents;
  }

  long characters() {
    return characters;
  }

  List<String> examples() {
    return new ArrayList<>(first.values());
  }
}
