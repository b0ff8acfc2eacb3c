package org.pretrain4j.trainer.kernels;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Loads and stores of one vector of float32 lanes, from and to float32 or bfloat16 memory, and the
 * sum over its lanes. Indices count elements. The variants with a mask touch only the memory of its
 * lanes.
 *
 * <p>Only correctly rounded operations in a fixed order are used, so that interpreted and compiled
 * code give the same bits.
 */
public final class Lanes {
  /** Float32 lanes of the machine's preferred width, up to 512 bits. */
  public static final VectorSpecies<Float> FLOATS =
      FloatVector.SPECIES_PREFERRED.length() > 16
          ? FloatVector.SPECIES_512
          : FloatVector.SPECIES_PREFERRED;

  /** Number of lanes. */
  public static final int COUNT = FLOATS.length();

  static final VectorSpecies<Integer> INTS = VectorSpecies.of(int.class, FLOATS.vectorShape());

  private static final VectorSpecies<Short> HALVES =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  // Each lane's partner in a step of the sum over lanes. Single constants, as the compiler folds
  // them.
  private static final VectorShuffle<Float> PARTNER_1 = partner(1);
  private static final VectorShuffle<Float> PARTNER_2 = partner(2);
  private static final VectorShuffle<Float> PARTNER_4 = partner(4);
  private static final VectorShuffle<Float> PARTNER_8 = partner(8);

  private Lanes() {}

  /** Loads float32. */
  public static FloatVector load(MemorySegment memory, long index) {
    return FloatVector.fromMemorySegment(FLOATS, memory, index * Float.BYTES, ORDER);
  }

  /** Loads float32; 0 in lanes that are not set. */
  public static FloatVector load(MemorySegment memory, long index, VectorMask<Float> mask) {
    return FloatVector.fromMemorySegment(FLOATS, memory, index * Float.BYTES, ORDER, mask);
  }

  /** Stores float32. */
  public static void store(FloatVector value, MemorySegment memory, long index) {
    value.intoMemorySegment(memory, index * Float.BYTES, ORDER);
  }

  /** Stores the lanes that are set as float32. */
  public static void store(
      FloatVector value, MemorySegment memory, long index, VectorMask<Float> mask) {
    value.intoMemorySegment(memory, index * Float.BYTES, ORDER, mask);
  }

  /** Loads from an array. */
  static FloatVector load(float[] array, int index) {
    return FloatVector.fromArray(FLOATS, array, index);
  }

  /** Loads bfloat16. */
  public static FloatVector loadBfloat16(MemorySegment memory, long index) {
    return widen(ShortVector.fromMemorySegment(HALVES, memory, index * Short.BYTES, ORDER));
  }

  /** Loads bfloat16; 0 in lanes that are not set. */
  public static FloatVector loadBfloat16(MemorySegment memory, long index, VectorMask<Float> mask) {
    return widen(
        ShortVector.fromMemorySegment(
            HALVES, memory, index * Short.BYTES, ORDER, mask.cast(HALVES)));
  }

  /** Stores bfloat16, rounded to nearest, ties to even. */
  public static void storeBfloat16(FloatVector value, MemorySegment memory, long index) {
    narrow(value).intoMemorySegment(memory, index * Short.BYTES, ORDER);
  }

  /** Stores the lanes that are set as bfloat16, rounded to nearest, ties to even. */
  public static void storeBfloat16(
      FloatVector value, MemorySegment memory, long index, VectorMask<Float> mask) {
    narrow(value).intoMemorySegment(memory, index * Short.BYTES, ORDER, mask.cast(HALVES));
  }

  /** What a store as bfloat16 and a load would give. */
  static FloatVector roundedToBfloat16(FloatVector value) {
    return roundedBits(value).and(0xffff0000).reinterpretAsFloats();
  }

  /** Sum of the lanes, pair by pair in a fixed order, which reduceLanes(ADD) does not promise. */
  static float sum(FloatVector value) {
    FloatVector sum = value;
    if (COUNT > 8) {
      sum = sum.add(sum.rearrange(PARTNER_8));
    }
    if (COUNT > 4) {
      sum = sum.add(sum.rearrange(PARTNER_4));
    }
    if (COUNT > 2) {
      sum = sum.add(sum.rearrange(PARTNER_2));
    }
    return sum.add(sum.rearrange(PARTNER_1)).lane(0);
  }

  private static VectorShuffle<Float> partner(int distance) {
    return FLOATS.shuffleFromOp(lane -> (lane ^ distance) % FLOATS.length());
  }

  /** Both rounded to bfloat16: the first in the lower half of each lane. */
  static IntVector pairOfBfloat16(FloatVector even, FloatVector odd) {
    return roundedBits(even)
        .lanewise(VectorOperators.LSHR, 16)
        .or(roundedBits(odd).and(0xffff0000));
  }

  /** Loads 16-bit values, each into the lower half of a lane. */
  static IntVector bits(MemorySegment memory, long index) {
    return bits(ShortVector.fromMemorySegment(HALVES, memory, index * Short.BYTES, ORDER));
  }

  private static IntVector bits(ShortVector halves) {
    return (IntVector) halves.convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0);
  }

  private static FloatVector widen(ShortVector halves) {
    return bits(halves).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  private static ShortVector narrow(FloatVector value) {
    return (ShortVector)
        roundedBits(value)
            .lanewise(VectorOperators.LSHR, 16)
            .convertShape(VectorOperators.I2S, HALVES, 0);
  }

  /** The result is in the upper half of the bits; what the lower half holds has no meaning. */
  private static IntVector roundedBits(FloatVector value) {
    IntVector bits = value.reinterpretAsInts();
    IntVector even = bits.lanewise(VectorOperators.LSHR, 16).and(1);
    FloatVector rounded = bits.add(even).add(0x7fff).reinterpretAsFloats();
    VectorMask<Float> nan = value.compare(VectorOperators.NE, value);
    return rounded.blend(Float.NaN, nan).reinterpretAsInts();
  }
}
