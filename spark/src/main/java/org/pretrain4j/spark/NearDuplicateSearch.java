package org.pretrain4j.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.spark.HashPartitioner;
import org.apache.spark.Partitioner;
import org.apache.spark.api.java.JavaPairRDD;
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
 * are similar to it. So documents with a band's key in common are sorted next to each other once,
 * and then decided in rounds: a document that is similar to a kept one is dropped; one that has no
 * similar one before it that is still undecided is kept; the others wait for the next round. The
 * first undecided document is decided in each round, and in practice few rounds are needed: as many
 * as the longest chain of documents in which each is similar to the one before.
 *
 * <p>Documents are streamed in their order. However many have a key in common, a task holds the
 * signatures of those among them that were kept, which the local index holds as well, and a bounded
 * number of undecided ones.
 */
final class NearDuplicateSearch {
  // What a group of documents says about one of them; the largest of all groups counts.
  private static final int KEEP = 0;
  private static final int WAIT = 1;
  private static final int DROP = 2;
  private static final int VERDICTS = 3;

  /** Signatures of undecided documents that a task holds at most. */
  static final long UNDECIDED_BYTES = 64L << 20;

  /** A document in the group of those that have a band's key. */
  private record BandPlace(int band, long key, long place)
      implements Comparable<BandPlace>, Serializable {
    private static final Comparator<BandPlace> ORDER =
        Comparator.comparingInt(BandPlace::band)
            .thenComparingLong(BandPlace::key)
            .thenComparingLong(BandPlace::place);

    @Override
    public int compareTo(BandPlace other) {
      return ORDER.compare(this, other);
    }

    boolean inGroupOf(BandPlace other) {
      return other != null && band == other.band && key == other.key;
    }
  }

  /** Brings the documents of a group to one partition. */
  private static final class GroupPartitioner extends Partitioner {
    private static final long serialVersionUID = 1L;

    private final HashPartitioner byKey;

    GroupPartitioner(int partitions) {
      this.byKey = new HashPartitioner(partitions);
    }

    @Override
    public int numPartitions() {
      return byKey.numPartitions();
    }

    @Override
    public int getPartition(Object document) {
      // Keys of different bands differ.
      return byKey.getPartition(((BandPlace) document).key());
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof GroupPartitioner partitioner && partitioner.byKey.equals(byKey);
    }

    @Override
    public int hashCode() {
      return byKey.hashCode();
    }
  }

  private final JavaSparkContext spark;
  private final NearDuplicates settings;
  private final int inputs;
  private final long undecidedBytes;

  /**
   * @param inputs in the corpus
   */
  NearDuplicateSearch(JavaSparkContext spark, NearDuplicates settings, int inputs) {
    this(spark, settings, inputs, UNDECIDED_BYTES);
  }

  /**
   * @param undecidedBytes of signatures of undecided documents held at most; the result does not
   *     depend on it
   */
  NearDuplicateSearch(
      JavaSparkContext spark, NearDuplicates settings, int inputs, long undecidedBytes) {
    this.spark = spark;
    this.settings = settings;
    this.inputs = inputs;
    this.undecidedBytes = undecidedBytes;
  }

  /**
   * @param signatures of documents by their places
   * @return the near duplicates among them
   */
  DocumentSet find(JavaPairRDD<Long, byte[]> signatures) {
    JavaPairRDD<BandPlace, byte[]> groups =
        groups(signatures).persist(StorageLevel.MEMORY_AND_DISK_SER());
    DocumentSet kept = new DocumentSet(inputs);
    DocumentSet dropped = new DocumentSet(inputs);
    NearDuplicates work = settings;
    long mostBytes = undecidedBytes;
    DocumentSet waiting;
    do {
      Broadcast<DocumentSet> keptNow = spark.broadcast(kept);
      Broadcast<DocumentSet> droppedNow = spark.broadcast(dropped);
      JavaPairRDD<Integer, Long> verdicts =
          groups
              .mapPartitionsToPair(
                  documents ->
                      new Verdicts(documents, work.sketcher(), keptNow, droppedNow, mostBytes))
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

  /** Documents that have a band's key in common, group by group, in the order of the corpus. */
  private JavaPairRDD<BandPlace, byte[]> groups(JavaPairRDD<Long, byte[]> signatures) {
    NearDuplicates work = settings;
    Partitioner partitioner = new GroupPartitioner(Math.max(1, signatures.getNumPartitions()));
    // Few documents share a key with another, so signatures travel only for those that do.
    JavaPairRDD<Long, BandPlace> shared =
        signatures
            .flatMapToPair(document -> bandPlaces(document, work.sketcher()))
            .repartitionAndSortWithinPartitions(partitioner)
            .mapPartitionsToPair(sorted -> new Shared(sorted));
    return shared
        .join(signatures)
        .mapToPair(Tuple2::_2)
        .repartitionAndSortWithinPartitions(partitioner);
  }

  private static Iterator<Tuple2<BandPlace, Boolean>> bandPlaces(
      Tuple2<Long, byte[]> document, Sketcher sketcher) {
    long[] keys = sketcher.bandKeys(document._2());
    List<Tuple2<BandPlace, Boolean>> places = new ArrayList<>(keys.length);
    for (int band = 0; band < keys.length; band++) {
      places.add(new Tuple2<>(new BandPlace(band, keys[band], document._1()), true));
    }
    return places.iterator();
  }

  /** Leaves out the documents that are alone with their key. */
  private static final class Shared implements Iterator<Tuple2<Long, BandPlace>> {
    private final Iterator<Tuple2<BandPlace, Boolean>> sorted;
    private BandPlace before;
    private BandPlace current;
    private BandPlace after;

    Shared(Iterator<Tuple2<BandPlace, Boolean>> sorted) {
      this.sorted = sorted;
      advance();
      advance();
      skipLonely();
    }

    private void advance() {
      before = current;
      current = after;
      after = sorted.hasNext() ? sorted.next()._1() : null;
    }

    private void skipLonely() {
      while (current != null && !current.inGroupOf(before) && !current.inGroupOf(after)) {
        advance();
      }
    }

    @Override
    public boolean hasNext() {
      return current != null;
    }

    @Override
    public Tuple2<Long, BandPlace> next() {
      if (current == null) {
        throw new NoSuchElementException();
      }
      Tuple2<Long, BandPlace> found = new Tuple2<>(current.place(), current);
      advance();
      skipLonely();
      return found;
    }
  }

  /** What the groups of a partition say about their undecided documents. */
  private static final class Verdicts implements Iterator<Tuple2<Long, Integer>> {
    private final Iterator<Tuple2<BandPlace, byte[]>> documents;
    private final Sketcher sketcher;
    private final Broadcast<DocumentSet> kept;
    private final Broadcast<DocumentSet> dropped;
    private final long mostBytes;
    private final List<byte[]> keptBefore = new ArrayList<>();
    private final List<byte[]> undecidedBefore = new ArrayList<>();
    private long undecidedBytes;
    private BandPlace group;
    private Tuple2<Long, Integer> ahead;

    Verdicts(
        Iterator<Tuple2<BandPlace, byte[]>> documents,
        Sketcher sketcher,
        Broadcast<DocumentSet> kept,
        Broadcast<DocumentSet> dropped,
        long mostBytes) {
      this.documents = documents;
      this.sketcher = sketcher;
      this.kept = kept;
      this.dropped = dropped;
      this.mostBytes = mostBytes;
      advance();
    }

    private void advance() {
      ahead = null;
      while (ahead == null && documents.hasNext()) {
        Tuple2<BandPlace, byte[]> document = documents.next();
        if (!document._1().inGroupOf(group)) {
          group = document._1();
          keptBefore.clear();
          undecidedBefore.clear();
          undecidedBytes = 0;
        }
        long place = document._1().place();
        if (kept.value().contains(place)) {
          keptBefore.add(document._2());
        } else if (!dropped.value().contains(place)) {
          ahead = new Tuple2<>(place, judge(document._2()));
        }
      }
    }

    private int judge(byte[] signature) {
      if (anySimilar(keptBefore, signature)) {
        return DROP;
      }
      if (undecidedBytes + signature.length > mostBytes && !undecidedBefore.isEmpty()) {
        // Waiting is never wrong, and the first undecided documents do not have to.
        return WAIT;
      }
      int verdict = anySimilar(undecidedBefore, signature) ? WAIT : KEEP;
      undecidedBefore.add(signature);
      undecidedBytes += signature.length;
      return verdict;
    }

    private boolean anySimilar(List<byte[]> others, byte[] signature) {
      return others.stream().anyMatch(other -> sketcher.similar(other, signature));
    }

    @Override
    public boolean hasNext() {
      return ahead != null;
    }

    @Override
    public Tuple2<Long, Integer> next() {
      if (ahead == null) {
        throw new NoSuchElementException();
      }
      Tuple2<Long, Integer> verdict = ahead;
      advance();
      return verdict;
    }
  }
}
