package org.pretrain4j.data.curation;

import com.dynatrace.hash4j.hashing.Hasher64;
import com.dynatrace.hash4j.hashing.Hashing;
import com.dynatrace.hash4j.similarity.ElementHashProvider;
import com.dynatrace.hash4j.similarity.SimilarityHashPolicy;
import com.dynatrace.hash4j.similarity.SimilarityHashing;
import com.dynatrace.hash4j.similarity.SuperMinHashVersion;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** MinHash signatures of texts, their bands and their similarity. Thread-safe. */
public final class Sketcher {
  private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{N}]+");
  private static final int COMPONENT_BITS = 16;

  private final NearDuplicates settings;
  private final SimilarityHashPolicy policy;
  private final Hasher64 hasher = Hashing.komihash5_0();

  Sketcher(NearDuplicates settings) {
    this.settings = settings;
    this.policy =
        SimilarityHashing.superMinHash(
            settings.bands() * settings.rows(), COMPONENT_BITS, SuperMinHashVersion.V1);
  }

  /** The signature of a text, {@code 2 * bands * rows} bytes. */
  public byte[] signature(String text) {
    List<String> words = new ArrayList<>();
    Matcher matcher = WORD.matcher(text.toLowerCase(Locale.ROOT));
    while (matcher.find()) {
      words.add(matcher.group());
    }
    int runs = Math.max(1, words.size() - settings.shingleWords() + 1);
    long[] hashes = new long[runs];
    for (int i = 0; i < runs; i++) {
      int end = Math.min(words.size(), i + settings.shingleWords());
      hashes[i] = hasher.hashCharsToLong(String.join(" ", words.subList(i, end)));
    }
    return policy.createHasher().compute(ElementHashProvider.ofValues(hashes));
  }

  /** A key for each band; two documents are compared if they have the key of one band in common. */
  public long[] bandKeys(byte[] signature) {
    long[] keys = new long[settings.bands()];
    for (int band = 0; band < keys.length; band++) {
      long key = band;
      for (int row = 0; row < settings.rows(); row++) {
        key =
            key * 0x9E3779B97F4A7C15L
                + policy.getComponent(signature, band * settings.rows() + row);
        key ^= key >>> 32;
      }
      keys[band] = key;
    }
    return keys;
  }

  /** True if the estimated Jaccard similarity reaches the threshold. */
  public boolean similar(byte[] one, byte[] other) {
    return policy.getFractionOfEqualComponents(one, other) >= settings.threshold();
  }
}
