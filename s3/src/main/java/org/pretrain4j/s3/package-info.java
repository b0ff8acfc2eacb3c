/**
 * Paths that begin with {@code s3a:}. There is no code here: the module brings Hadoop's client for
 * S3 and the few parts of the AWS SDK that it needs, and proves with a real server that datasets
 * are written and read through it. Settings are Hadoop's own:
 *
 * <pre>{@code
 * Configuration configuration = new Configuration();
 * configuration.set("fs.s3a.endpoint.region", "us-east-1");
 * Storage storage = new Storage(configuration);
 * storage.glob("s3a://corpus/web/*.jsonl.zst");
 * }</pre>
 */
package org.pretrain4j.s3;
