/**
 * Which documents of a corpus are worth training on: minimal rules of quality, exact duplicates,
 * near duplicates. A {@link org.pretrain4j.data.curation.Curation} reads all inputs once and
 * decides; its {@link org.pretrain4j.data.curation.CurationResult} gives the inputs without the
 * dropped documents, to be tokenized like any others, and a report of what was dropped and why.
 *
 * <pre>{@code
 * Curation curation = new Curation(QualityRules.defaults(), true, Optional.of(NearDuplicates.defaults()));
 * CurationResult result = curation.decide(inputs);
 * log.info(result.report());
 * new TokenizeJob(storage, tokenizer, result.inputs(), folder, options, listener).run();
 * }</pre>
 */
package org.pretrain4j.data.curation;
