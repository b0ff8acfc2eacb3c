package org.pretrain4j.spark;

import java.io.Serializable;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.storage.StorageLevel;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.curation.Curation;
import org.pretrain4j.data.curation.CurationReport;
import org.pretrain4j.data.curation.DropReason;
import scala.Tuple2;

/**
 * Decides which documents to keep, as {@link Curation#decide} does: the same documents are dropped
 * for the same reasons. Each file is read once, by one task; what is kept of its documents are
 * hashes and signatures. The driver holds some four bytes for each document.
 */
public final class CurationOnSpark {
  private static final int KEPT = -1;

  private final JavaSparkContext spark;
  private final Curation curation;

  public CurationOnSpark(JavaSparkContext spark, Curation curation) {
    this.spark = spark;
    this.curation = curation;
  }

  /**
   * Reads the corpus once.
   *
   * @throws UserException if an input is malformed or holds tokens
   */
  public CurationDecision decide(Corpus corpus) {
    return TaskFailure.unwrapped(() -> decideFrom(corpus, traits(corpus)));
  }

  private JavaRDD<DocumentTraits> traits(Corpus corpus) {
    ClusterStorage cluster = new ClusterStorage(spark);
    Broadcast<Corpus> shared = spark.broadcast(corpus);
    CurationSettings settings = CurationSettings.of(curation);
    return spark
        .parallelize(IntStream.range(0, corpus.size()).boxed().toList(), corpus.size())
        .flatMap(
            input ->
                new TraitsReader(
                    shared.value().input(cluster.storage(), input), input, settings.curation()))
        .persist(StorageLevel.MEMORY_AND_DISK_SER());
  }

  private CurationDecision decideFrom(Corpus corpus, JavaRDD<DocumentTraits> traits) {
    try {
      Fates fates = fates(corpus, traits);
      Broadcast<Fates> shared = spark.broadcast(fates);
      Map<Integer, Tally> tallies =
          traits
              .mapToPair(document -> new Tuple2<>(label(shared.value().of(document)), document))
              .aggregateByKey(new Tally(), Tally::count, Tally::merge)
              .collectAsMap();
      JavaRDD<Long> dropped =
          traits
              .filter(document -> shared.value().of(document).isPresent())
              .map(DocumentTraits::place);
      // A partition is a file, so that the sizes come in the order of the corpus.
      List<int[]> characters =
          traits
              .mapPartitions(
                  documents -> List.of(keptCharacters(documents, shared.value())).iterator())
              .collect();
      return new CurationDecision(
          corpus.without(DocumentSet.collect(dropped, corpus.size())), report(tallies), characters);
    } finally {
      traits.unpersist();
    }
  }

  private Fates fates(Corpus corpus, JavaRDD<DocumentTraits> traits) {
    JavaRDD<DocumentTraits> good = traits.filter(document -> document.broken() == null);
    DocumentSet unique = null;
    if (curation.exact()) {
      JavaRDD<Long> first =
          good.mapToPair(document -> new Tuple2<>(document.fingerprint(), document.place()))
              .reduceByKey(Math::min)
              .values();
      unique = DocumentSet.collect(first, corpus.size());
    }
    Fates withoutNear = new Fates(unique, new DocumentSet(corpus.size()));
    if (curation.near().isEmpty()) {
      return withoutNear;
    }
    Broadcast<Fates> shared = spark.broadcast(withoutNear);
    DocumentSet near =
        new NearDuplicateSearch(spark, curation.near().get(), corpus.size())
            .find(
                good.filter(document -> shared.value().of(document).isEmpty())
                    .mapToPair(document -> new Tuple2<>(document.place(), document.signature())));
    return new Fates(unique, near);
  }

  private static int[] keptCharacters(Iterator<DocumentTraits> documents, Fates fates) {
    IntStream.Builder characters = IntStream.builder();
    while (documents.hasNext()) {
      DocumentTraits document = documents.next();
      if (fates.of(document).isEmpty()) {
        characters.add(document.characters());
      }
    }
    return characters.build().toArray();
  }

  /** Spark sorts by this number: the hash codes of enums differ between processes. */
  private static int label(Optional<DropReason> fate) {
    return fate.map(DropReason::ordinal).orElse(KEPT);
  }

  private static CurationReport report(Map<Integer, Tally> tallies) {
    Map<DropReason, CurationReport.Dropped> dropped = new EnumMap<>(DropReason.class);
    for (DropReason reason : DropReason.values()) {
      Tally tally = tallies.get(reason.ordinal());
      if (tally != null) {
        dropped.put(
            reason,
            new CurationReport.Dropped(tally.documents(), tally.characters(), tally.examples()));
      }
    }
    Tally kept = tallies.getOrDefault(KEPT, new Tally());
    return new CurationReport(kept.documents(), kept.characters(), dropped);
  }

  /**
   * What becomes of each document.
   *
   * @param unique the first documents of each text; null if duplicates are kept
   * @param near the near duplicates
   */
  private record Fates(DocumentSet unique, DocumentSet near) implements Serializable {
    Optional<DropReason> of(DocumentTraits document) {
      if (document.broken() != null) {
        return Optional.of(document.broken());
      }
      if (unique != null && !unique.contains(document.place())) {
        return Optional.of(DropReason.DUPLICATE);
      }
      return near.contains(document.place())
          ? Optional.of(DropReason.NEAR_DUPLICATE)
          : Optional.empty();
    }
  }
}
