/**
 * What measurements are held against: the machine, its best matrix product, and what this process
 * takes of it.
 *
 * <pre>{@code
 * double flops = new GemmPeak(manager, device, ScalarType.BFLOAT16, 2048).measure(3);
 * long resident = PeakMemory.residentBytes();
 * }</pre>
 */
package org.pretrain4j.trainer.machine;
