package org.pretrain4j.spark;

import java.io.Serializable;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.util.SerializableConfiguration;
import org.pretrain4j.data.storage.Storage;

/** The file systems as the driver is configured for them, for tasks on any machine. */
final class ClusterStorage implements Serializable {
  private static final long serialVersionUID = 1L;

  private final Broadcast<SerializableConfiguration> configuration;

  ClusterStorage(JavaSparkContext spark) {
    this.configuration =
        spark.broadcast(new SerializableConfiguration(spark.hadoopConfiguration()));
  }

  Storage storage() {
    return new Storage(configuration.value().value());
  }
}
