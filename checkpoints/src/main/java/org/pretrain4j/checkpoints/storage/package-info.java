/**
 * Files that survive a crash, on any Hadoop file system, and checksums that notice when they did
 * not.
 *
 * <p>{@link org.pretrain4j.checkpoints.storage.DurableFileSystem} adds what Hadoop's {@code
 * FileSystem} lacks: a synced folder, a rename that either happened or throws, and no litter of
 * {@code .crc} files. {@link org.pretrain4j.checkpoints.storage.ChecksummedOutput} computes the
 * CRC32C of each block while it writes, {@link org.pretrain4j.checkpoints.storage.BlockReader}
 * reads any range of bytes back and verifies just the blocks that the range touches.
 *
 * <pre>{@code
 * DurableFileSystem files = DurableFileSystem.of(FileSystem.getLocal(new Configuration()));
 * BlockChecksums checksums;
 * try (ChecksummedOutput out = files.create(path, BlockChecksums.DEFAULT_BLOCK_BYTES)) {
 *   out.write(segment);
 *   checksums = out.finish(); // synced and closed
 * }
 * new BlockReader(files, path, checksums).read(4096, piece); // throws if a block is damaged
 * }</pre>
 */
package org.pretrain4j.checkpoints.storage;
