package org.pretrain4j.spark;

import java.io.Serializable;
import java.util.Optional;
import org.pretrain4j.data.curation.Curation;
import org.pretrain4j.data.curation.NearDuplicates;
import org.pretrain4j.data.curation.QualityRules;

/** A {@link Curation} on its way to tasks; null stands for what is not there. */
record CurationSettings(
    int minCharacters,
    int maxCharacters,
    double maxDuplicateLineShare,
    double minLetterShare,
    double minScriptShare,
    Character.UnicodeScript script,
    boolean exact,
    NearDuplicates near)
    implements Serializable {

  static CurationSettings of(Curation curation) {
    QualityRules rules = curation.rules();
    return new CurationSettings(
        rules.minCharacters(),
        rules.maxCharacters(),
        rules.maxDuplicateLineShare(),
        rules.minLetterShare(),
        rules.minScriptShare(),
        rules.script().orElse(null),
        curation.exact(),
        curation.near().orElse(null));
  }

  Curation curation() {
    QualityRules rules =
        new QualityRules(
            minCharacters,
            maxCharacters,
            maxDuplicateLineShare,
            minLetterShare,
            minScriptShare,
            Optional.ofNullable(script));
    return new Curation(rules, exact, Optional.ofNullable(near));
  }
}
