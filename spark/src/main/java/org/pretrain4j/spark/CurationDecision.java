package org.pretrain4j.spark;

import java.util.List;
import org.pretrain4j.data.curation.CurationReport;

/**
 * What a {@link CurationOnSpark} decided.
 *
 * @param corpus without the dropped documents
 * @param characters of the documents that are kept, file by file
 */
public record CurationDecision(Corpus corpus, CurationReport report, List<int[]> characters) {}
