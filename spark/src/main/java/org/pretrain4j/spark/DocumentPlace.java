package org.pretrain4j.spark;

/** A document's place in its corpus as one number, so that earlier documents have smaller ones. */
final class DocumentPlace {
  private DocumentPlace() {}

  static long of(int input, int number) {
    return (long) input << 32 | number;
  }

  static int input(long place) {
    return (int) (place >>> 32);
  }

  static int number(long place) {
    return (int) place;
  }
}
