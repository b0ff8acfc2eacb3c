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
    Set<HashValue128> seen = new HashSet<>();
    Optional<NearDuplicates.Index> index = near.map(NearDuplicates::index);
    List<DocumentInput> curated = new ArrayList<>();
    CurationReport.Builder report = new CurationReport.Builder();
    for (DocumentInput input : inputs) {
      BitSet dropped = new BitSet();
      int number = 0;
      try (DocumentReader reader = input.open()) {
        for (Document document = reader.next(); document != null; document = reader.next()) {
          Optional<DropReason> reason = reason(document, seen, index);
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

  private Optional<DropReason> reason(
      Document document, Set<HashValue128> seen, Optional<NearDuplicates.Index> index) {
    Optional<DropReason> broken = broken(document);
    if (broken.isPresent()) {
      return broken;
    }
    if (exact && !seen.add(fingerprint(document.text()))) {
      return Optional.of(DropReason.DUPLICATE);
    }
    boolean known = index.isPresent() && index.get().isKnown(document.text());
    return known ? Optional.of(DropReason.NEAR_DUPLICATE) : Optional.empty();
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
