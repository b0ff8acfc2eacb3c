package org.pretrain4j.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.stream.StreamSupport;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.storage.StorageLevel;
import org.pretrain4j.data.curation.NearDuplicates;
import org.pretrain4j.data.curation.Sketcher;
import scala.Tuple2;

/**
 * Finds the near duplicates that the local index finds, which reads documents in order and drops
 * one that is similar to an earlier one it has kept.
 *
 * <p>That order looks sequential, but a document's fate hangs only on the earlier documents that
 * are similar to it. So documents with a band's key in common are brought together once, and then
 * decided in rounds: a document that is similar to a kept one is dropped; one that has no similar
 * one before it that is still undecided is kept; the others wait for the next round. The first
 * undecided document is decided in each round, and in practice few rounds are needed: as many as
 * the longest chain of documents in which each is similar to the one before.
 */
final class NearDuplicateSearch {
  // What a group of documents says about one of them; the largest of all groups counts.
  private static final int KEEP = 0;
  private static final int WAIT = 1;
  private static final int DROP = 2;
  private static final int VERDICTS = 3;

  private record BandKey(int band, long key) implements Serializable {}

  private record Member(long place, byte[] signature) implements Serializable {}

  private final JavaSparkContext spark;
  private final NearDuplicates settings;
  private final int inputs;

  /**
   * @param inputs in the corpus
   */
  NearDuplicateSearch(JavaSparkContext spark, NearDuplicates settings, int inputs) {
    this.spark = spark;
    this.settings = settings;
    this.inputs = inputs;
  }

  /**
   * @param signatures of documents by their places
   * @return the near duplicates among them
   */
  DocumentSet find(JavaPairRDD<Long, byte[]> signatures) {
    JavaRDD<Member[]> groups = groups(signatures).persist(StorageLevel.MEMORY_AND_DISK_SER());
    DocumentSet kept = new DocumentSet(inputs);
    DocumentSet dropped = new DocumentSet(inputs);
    NearDuplicates work = settings;
    DocumentSet waiting;
    do {
      Broadcast<DocumentSet> keptNow = spark.broadcast(kept);
      Broadcast<DocumentSet> droppedNow = spark.broadcast(dropped);
      JavaPairRDD<Integer, Long> verdicts =
          groups
              .flatMapToPair(group -> judge(group, work.sketcher(), keptNow, droppedNow))
              .reduceByKey(Math::max)
              .mapToPair(Tuple2::swap);
      List<DocumentSet> decided = DocumentSet.collect(verdicts, VERDICTS, inputs);
      kept.addAll(decided.get(KEEP));
      dropped.addAll(decided.get(DROP));
      waiting = decided.get(WAIT);
      keptNow.destroy();
      droppedNow.destroy();
    } while (!waiting.isEmpty());
    groups.unpersist();
    return dropped;
  }

  /** Documents that have a band's key in common, in the order of the corpus. */
  private JavaRDD<Member[]> groups(JavaPairRDD<Long, byte[]> signatures) {
    NearDuplicates work = settings;
    // Few documents share a key with another, so signatures travel only for those that do.
    JavaPairRDD<Long, Long> groupOf =
        signatures
            .flatMapToPair(document -> bandKeys(document, work.sketcher()))
            .groupByKey()
            .values()
            .map(NearDuplicateSearch::sorted)
            .filter(places -> places.length > 1)
            .zipWithUniqueId()
            .flatMapToPair(
                group ->
                    Arrays.stream(group._1())
                        .mapToObj(place -> new Tuple2<>(place, group._2()))
                        .iterator());
    return groupOf
        .join(signatures)
        .mapToPair(found -> new Tuple2<>(found._2()._1(), new Member(found._1(), found._2()._2())))
        .groupByKey()
        .values()
        .map(
            members ->
                StreamSupport.stream(members.spliterator(), false)
                    .sorted(Comparator.comparingLong(Member::place))
                    .toArray(Member[]::new));
  }

  private static Iterator<Tuple2<BandKey, Long>> bandKeys(
      Tuple2<Long, byte[]> document, Sketcher sketcher) {
    long[] keys = sketcher.bandKeys(document._2());
    List<Tuple2<BandKey, Long>> keyed = new ArrayList<>(keys.length);
    for (int band = 0; band < keys.length; band++) {
      keyed.add(new Tuple2<>(new BandKey(band, keys[band]), document._1()));
    }
    return keyed.iterator();
  }

  private static long[] sorted(Iterable<Long> places) {
    return StreamSupport.stream(places.spliterator(), false)
        .mapToLong(Long::longValue)
        .sorted()
        .toArray();
  }

  /** What one group says about its undecided members. */
  private static Iterator<Tuple2<Long, Integer>> judge(
      Member[] group,
      Sketcher sketcher,
      Broadcast<DocumentSet> kept,
      Broadcast<DocumentSet> dropped) {
    List<byte[]> keptBefore = new ArrayList<>();
    List<byte[]> undecidedBefore = new ArrayList<>();
    List<Tuple2<Long, Integer>> verdicts = new ArrayList<>();
    for (Member member : group) {
      if (kept.value().contains(member.place())) {
        keptBefore.add(member.signature());
      } else if (!dropped.value().contains(member.place())) {
        int verdict = DROP;
        if (!anySimilar(sketcher, keptBefore, member)) {
          verdict = anySimilar(sketcher, undecidedBefore, member) ? WAIT : KEEP;
          undecidedBefore.add(member.signature());
        }
        verdicts.add(new Tuple2<>(member.place(), verdict));
      }
    }
    return verdicts.iterator();
  }

  private static boolean anySimilar(Sketcher sketcher, List<byte[]> others, Member member) {
    return others.stream().anyMatch(other -> sketcher.similar(other, member.signature()));
  }
}
