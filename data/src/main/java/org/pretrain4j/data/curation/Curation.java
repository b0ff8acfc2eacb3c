package org.pretrain4j.data.curation;

import com.dynatrace.hash4j.hashing.HashValue128;
import com.dynatrace.hash4j.hashing.Hasher128;
import com.dynatrace.hash4j.hashing.Hashing;
import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;

/**
 * Decides which documents to keep, in the order of the inputs: of documents that are alike the
 * first one stays. The decisions depend on the inputs and the rules alone.
 *
 * <p>Memory: some 50 bytes for each kept document to find exact duplicates, and what {@link
 * NearDuplicates} says for the near ones.
 *
 * @param rules of quality
 * @param exact drop documents whose text is that of an earlier one
 * @param near drop documents that are much like an earlier one
 */
public record Curation(QualityRules rules, boolean exact, Optional<NearDuplicates> near) {
  private static final Hasher128 HASHER = Hashing.murmur3_128();

  /**
   * Reads all inputs once.
   *
   * @throws UserException if an input is malformed or holds tokens
   */
  public CurationResult decide(List<DocumentInput> inputs) {
    Decider decider = new Decider();
    List<DocumentInput> curated = new ArrayList<>();
    CurationReport.Builder report = new CurationReport.Builder();
    for (DocumentInput input : inputs) {
      BitSet dropped = new BitSet();
      int number = 0;
      try (DocumentReader reader = input.open()) {
        for (Document document = reader.next(); document != null; document = reader.next()) {
          Optional<DropReason> reason = decider.decide(traits(document));
          report.add(document, reason);
          if (reason.isPresent()) {
            dropped.set(number);
          }
          number = Math.incrementExact(number);
        }
      } catch (IOException e) {
        throw new UserException(input.name() + ": cannot be read: " + e.getMessage(), e);
      }
      curated.add(CuratedInput.of(input, dropped));
    }
    return new CurationResult(curated, report.build());
  }

  /**
   * What decisions need to know of a document.
   *
   * @param fingerprint of the text; null if a rule is broken or it is not asked for
   * @param signature for near duplicates; null likewise
   */
  record Traits(Optional<DropReason> broken, HashValue128 fingerprint, byte[] signature) {}

  /**
   * A function of the document alone, for any thread.
   *
   * @throws UserException if it holds tokens instead of text
   */
  Traits traits(Document document) {
    Optional<DropReason> broken = broken(document);
    return broken.isPresent()
        ? new Traits(broken, null, null)
        : new Traits(
            broken,
            exact ? fingerprint(document.text()) : null,
            near.map(rule -> rule.sketcher().signature(document.text())).orElse(null));
  }

  /** Decides on one document after the other, in their order. Not thread-safe. */
  final class Decider {
    private final Set<HashValue128> seen = new HashSet<>();
    private final Optional<NearDuplicates.Index> index = near.map(NearDuplicates::index);

    Optional<DropReason> decide(Traits traits) {
      if (traits.broken().isPresent()) {
        return traits.broken();
      }
      if (exact && !seen.add(traits.fingerprint())) {
        return Optional.of(DropReason.DUPLICATE);
      }
      boolean known = index.isPresent() && index.get().isKnown(traits.signature());
      return known ? Optional.of(DropReason.NEAR_DUPLICATE) : Optional.empty();
    }
  }

  /**
   * The rule that a document breaks by itself, if any.
   *
   * @throws UserException if it holds tokens instead of text
   */
  public Optional<DropReason> broken(Document document) {
    if (document.text() == null) {
      throw new UserException(
          document.origin() + ": rules and deduplication need text, but this file holds tokens");
    }
    return rules.broken(document.text());
  }

  /** What exact duplicates have in common. */
  public static HashValue128 fingerprint(String text) {
    return HASHER.hashCharsTo128Bits(text);
  }
}
