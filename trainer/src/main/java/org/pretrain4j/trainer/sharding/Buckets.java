package org.pretrain4j.trainer.sharding;

import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.trainer.model.ModelLayout;

/**
 * How the flat space is cut for communication, and what each rank owns of it.
 *
 * <p>Small neighbouring parts of the model share a bucket, large ones are cut, always where no
 * padding is needed inside, so a parameter is contiguous in storage too.
 *
 * @param buckets in the order of the flat space
 * @param worldSize number of ranks that share each of them
 */
public record Buckets(List<Bucket> buckets, int worldSize) {
  /** Chunks begin at multiples of 64 bytes for every element type in use. */
  private static final long ALIGNMENT = 32;

  public Buckets {
    buckets = List.copyOf(buckets);
  }

  /**
   * Cuts a model's parameters.
   *
   * @param bucketElements size that a bucket does not exceed by more than a rounding
   */
  public static Buckets of(ModelLayout layout, int worldSize, long bucketElements) {
    long quantum = worldSize * ALIGNMENT;
    long most = Math.max(quantum, bucketElements / quantum * quantum);
    List<FlatRange> parts = layout.parts();
    List<Bucket> buckets = new ArrayList<>();
    long storage = 0;
    int part = 0;
    while (part < parts.size()) {
      int first = part;
      long start = parts.get(first).start();
      do {
        part++;
      } while (part < parts.size() && parts.get(part).end() - start <= most);
      long end = parts.get(part - 1).end();
      while (start < end) {
        FlatRange range = new FlatRange(start, Math.min(end, start + most));
        long chunk = Math.ceilDiv(range.length(), quantum) * ALIGNMENT;
        buckets.add(new Bucket(range, storage, chunk, first));
        storage += chunk * worldSize;
        start = range.end();
      }
    }
    return new Buckets(buckets, worldSize);
  }

  /** Elements of the padded storage of all parameters. */
  public long storageElements() {
    Bucket last = buckets.getLast();
    return last.storageStart() + last.chunk() * worldSize;
  }

  /** Elements of the padded storage of what one rank owns. */
  public long shardElements() {
    return buckets.stream().mapToLong(Bucket::chunk).sum();
  }

  /** Where an element of the flat space lies in the padded storage. */
  public long storageOffset(long flat) {
    int low = 0;
    int high = buckets.size() - 1;
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (buckets.get(middle).range().start() <= flat) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    Bucket bucket = buckets.get(low);
    return bucket.storageStart() + flat - bucket.range().start();
  }

  /** What a rank owns of the flat space, one range for each bucket that leaves it something. */
  public List<FlatRange> rangesOf(int rank) {
    return buckets.stream()
        .map(bucket -> bucket.ownedBy(rank))
        .filter(range -> range.length() > 0)
        .toList();
  }
}
