/**
 * The only place with native handles: libtorch through its stable C interface, as typed Java.
 *
 * <p>{@link org.pretrain4j.trainer.libtorch.Tensor} is a DJL array that also knows bfloat16; {@link
 * org.pretrain4j.trainer.libtorch.Operators} calls ATen operators by name through the dispatcher,
 * so that devices and automatic differentiation are libtorch's own.
 *
 * <pre>{@code
 * try (NDManager manager = NDManager.newBaseManager("PyTorch")) {
 *   Tensor x = Tensor.of(manager, new float[] {1, 2, 3, 4}, 2, 2);
 *   Tensor y = Operators.silu(Operators.to(x, ScalarType.BFLOAT16));
 * } // both are freed here
 * }</pre>
 */
package org.pretrain4j.trainer.libtorch;
