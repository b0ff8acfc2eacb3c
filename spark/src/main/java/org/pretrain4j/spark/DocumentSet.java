package org.pretrain4j.spark;

import java.io.Serializable;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import scala.Tuple2;

/** A set of documents of a corpus, a bit for each. */
final class DocumentSet implements Serializable {
  private static final long serialVersionUID = 1L;

  private final BitSet[] inputs;

  DocumentSet(int inputs) {
    this.inputs = new BitSet[inputs];
    for (int i = 0; i < inputs; i++) {
      this.inputs[i] = new BitSet();
    }
  }

  /** Numbers of the documents of one input. */
  BitSet of(int input) {
    return (BitSet) inputs[input].clone();
  }

  boolean contains(long place) {
    return inputs[DocumentPlace.input(place)].get(DocumentPlace.number(place));
  }

  void addAll(DocumentSet other) {
    for (int i = 0; i < inputs.length; i++) {
      inputs[i].or(other.inputs[i]);
    }
  }

  boolean isEmpty() {
    return Arrays.stream(inputs).allMatch(BitSet::isEmpty);
  }

  /**
   * Brings documents to the driver. They travel as bits, joined on the way.
   *
   * @param places of documents by their labels, from 0 on
   * @param inputs in the corpus
   * @return a set for each label
   */
  static List<DocumentSet> collect(JavaPairRDD<Integer, Long> places, int labels, int inputs) {
    List<DocumentSet> sets =
        IntStream.range(0, labels).mapToObj(label -> new DocumentSet(inputs)).toList();
    places
        .mapToPair(
            labelled ->
                new Tuple2<>(
                    new Tuple2<>(labelled._1(), DocumentPlace.input(labelled._2())),
                    DocumentPlace.number(labelled._2())))
        .aggregateByKey(new BitSet(), DocumentSet::with, DocumentSet::union)
        .collect()
        .forEach(found -> sets.get(found._1()._1()).inputs[found._1()._2()].or(found._2()));
    return sets;
  }

  /** Brings documents to the driver. */
  static DocumentSet collect(JavaRDD<Long> places, int inputs) {
    return collect(places.mapToPair(place -> new Tuple2<>(0, place)), 1, inputs).getFirst();
  }

  private static BitSet with(BitSet set, int number) {
    set.set(number);
    return set;
  }

  private static BitSet union(BitSet one, BitSet other) {
    one.or(other);
    return one;
  }
}
