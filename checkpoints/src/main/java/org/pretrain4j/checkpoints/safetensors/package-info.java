/**
 * The safetensors format: an 8-byte length, a JSON header with name, type, shape and byte range of
 * each tensor, then the bytes of the tensors without holes, all little-endian.
 *
 * <p>The reader believes nothing: a header that claims what the file does not have is refused with
 * one line that names the file and the tensor, before any tensor is read. Reader and writer work on
 * pieces of any size, so a file may be larger than the memory.
 *
 * <pre>{@code
 * var tensors = List.of(new TensorSpec("norm.weight", DType.F32, List.of(64L)));
 * try (var writer = SafetensorsWriter.create(files, path, tensors, Map.of("format", "pt"))) {
 *   writer.write(values); // in the order of the specifications
 *   writer.finish();
 * }
 * try (var file = SafetensorsFile.open(files, path)) {
 *   file.read("norm.weight", 0, into);
 * }
 * }</pre>
 */
package org.pretrain4j.checkpoints.safetensors;
