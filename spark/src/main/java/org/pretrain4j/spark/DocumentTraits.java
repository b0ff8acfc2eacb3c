package org.pretrain4j.spark;

import com.dynatrace.hash4j.hashing.HashValue128;
import java.io.Serializable;
import java.util.Optional;
import org.pretrain4j.data.curation.Curation;
import org.pretrain4j.data.curation.DropReason;
import org.pretrain4j.data.curation.Sketcher;
import org.pretrain4j.data.text.Document;

/**
 * What curation needs to know of a document besides its text.
 *
 * @param place a {@link DocumentPlace}
 * @param broken the rule that it breaks by itself, or null
 * @param fingerprint null if a rule is broken
 * @param signature null if a rule is broken or near duplicates are of no interest
 */
record DocumentTraits(
    long place,
    int characters,
    String origin,
    DropReason broken,
    Fingerprint fingerprint,
    byte[] signature)
    implements Serializable {

  /** 128 bits that equal texts have in common. */
  record Fingerprint(long high, long low) implements Serializable {}

  static DocumentTraits of(
      long place, Document document, Curation curation, Optional<Sketcher> sketcher) {
    Optional<DropReason> broken = curation.broken(document);
    if (broken.isPresent()) {
      return new DocumentTraits(
          place, document.size(), document.origin(), broken.get(), null, null);
    }
    HashValue128 hash = Curation.fingerprint(document.text());
    return new DocumentTraits(
        place,
        document.size(),
        document.origin(),
        null,
        new Fingerprint(hash.getMostSignificantBits(), hash.getLeastSignificantBits()),
        sketcher.map(sketch -> sketch.signature(document.text())).orElse(null));
  }
}
