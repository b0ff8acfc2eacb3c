package org.pretrain4j.data.curation;

import java.util.List;
import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/** The rules of a curation as a YAML file. */
public record CurationConfig(
    @Key("Fewest characters of a document") @Default("50") int minCharacters,
    @Key("Most characters of a document") @Default(value = "2147483647", meaning = "no limit")
        int maxCharacters,
    @Key("Largest share of a document's characters in lines that occurred in it before")
        @Default("0.3")
        double maxDuplicateLineShare,
    @Key("Smallest share of letters and digits among the characters that are no white space")
        @Default("0.5")
        double minLetterShare,
    @Key("A script of Unicode, such as `latin` or `han`; any if absent")
        Optional<Character.UnicodeScript> script,
    @Key("Smallest share of the script's letters among all letters") @Default("0.8")
        double minScriptShare,
    @Key("Whether a document whose text is that of an earlier one is dropped") @Default("true")
        boolean exactDuplicates,
    @Key("Whether a document that is much like an earlier one is dropped") @Default("true")
        boolean nearDuplicates,
    @Key("Least similarity of near duplicates: the share of their runs of words that both have")
        @Default("0.8")
        double nearSimilarity,
    @Key("Words in a run") @Default("5") int shingleWords,
    @Key("Bands of the signature: more find more pairs, and cost memory") @Default("16") int bands,
    @Key("Values in a band: more compare fewer pairs") @Default("8") int rows) {

  public CurationConfig {
    Checks checks = new Checks();
    checks.notNegative("min_characters", minCharacters);
    checks.require(
        maxCharacters >= minCharacters,
        List.of("max_characters", "min_characters"),
        "is " + maxCharacters + ", expected at least min_characters " + minCharacters);
    share(checks, "max_duplicate_line_share", maxDuplicateLineShare);
    share(checks, "min_letter_share", minLetterShare);
    share(checks, "min_script_share", minScriptShare);
    share(checks, "near_similarity", nearSimilarity);
    checks.positive("near_similarity", nearSimilarity);
    checks.positive("shingle_words", shingleWords);
    checks.positive("bands", bands);
    checks.positive("rows", rows);
    checks.together(
        List.of("bands", "rows"),
        () -> (long) bands * rows <= NearDuplicates.MAX_VALUES,
        bands,
        "at most " + NearDuplicates.MAX_VALUES + " values in all bands");
    checks.throwIfAny();
  }

  private static void share(Checks checks, String key, double value) {
    checks.require(value >= 0 && value <= 1, key, value, "a number from 0 to 1");
  }

  /** The curation that this describes. */
  public Curation curation() {
    QualityRules rules =
        new QualityRules(
            minCharacters,
            maxCharacters,
            maxDuplicateLineShare,
            minLetterShare,
            script.isPresent() ? minScriptShare : 0,
            script);
    return new Curation(
        rules,
        exactDuplicates,
        nearDuplicates
            ? Optional.of(new NearDuplicates(shingleWords, bands, rows, nearSimilarity))
            : Optional.empty());
  }
}
