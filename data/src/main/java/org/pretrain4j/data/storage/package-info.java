/**
 * Files by Hadoop path: local, hdfs and s3a alike. Everything that the data module reads or writes
 * goes through {@link org.pretrain4j.data.storage.Storage}, so that the rules of durability
 * (temporary name, sync, rename) and of naming files by glob are in one place.
 *
 * <pre>{@code
 * Storage storage = new Storage(new Configuration());
 * for (FileStatus file : storage.glob("hdfs://nn/corpus/**" + "/*.jsonl.gz")) { ... }
 * try (AtomicFile file = storage.createAtomically(target)) {
 *   file.stream().write(bytes);
 *   file.commit();
 * }
 * }</pre>
 */
package org.pretrain4j.data.storage;
