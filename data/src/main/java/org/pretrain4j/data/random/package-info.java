/**
 * Seeded random numbers whose sequence is fixed by us, not by a JDK version: orders of shards and
 * generated text must stay the same for the life of a run.
 *
 * <pre>{@code
 * int[] order = SplitMix64.of(seed, epoch).permutation(shards);
 * }</pre>
 */
package org.pretrain4j.data.random;
