package org.pretrain4j.spark;

import java.util.List;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.pretrain4j.data.curation.Curation;
import org.pretrain4j.data.curation.CurationEngine;
import org.pretrain4j.data.curation.CurationReport;
import org.pretrain4j.data.storage.Storage;

/**
 * Curates on a cluster: one pass over the corpus to decide, a second one that writes what is kept,
 * a task for each part.
 */
public final class CurateOnSpark implements CurationEngine {
  private final JavaSparkContext spark;
  private final Corpus corpus;

  public CurateOnSpark(JavaSparkContext spark, Corpus corpus) {
    this.spark = spark;
    this.corpus = corpus;
  }

  @Override
  public CurationReport curate(Curation curation, Path folder, long partCharacters) {
    CurationDecision decision = new CurationOnSpark(spark, curation).decide(corpus);
    List<CuratedPart> parts = CuratedPart.cut(decision.characters(), partCharacters);
    ClusterStorage cluster = new ClusterStorage(spark);
    Broadcast<Corpus> curated = spark.broadcast(decision.corpus());
    String target = folder.toString();
    return TaskFailure.unwrapped(
        () -> {
          if (!parts.isEmpty()) {
            spark
                .parallelize(parts, parts.size())
                .foreach(
                    part -> {
                      Storage storage = cluster.storage();
                      part.write(storage, curated.value(), storage.path(target));
                    });
          }
          return decision.report();
        });
  }
}
