package org.pretrain4j.spark;

import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

/** Starts Spark as it is configured; in this process on all cores if nothing says otherwise. */
final class SparkStart {
  private SparkStart() {}

  static JavaSparkContext start(String command) {
    SparkConf conf =
        new SparkConf()
            .setAppName("pretrain4j " + command)
            .setIfMissing("spark.master", "local[*]");
    if (conf.get("spark.master").startsWith("local")) {
      // Nobody else has to reach a driver that works alone.
      conf.setIfMissing("spark.driver.host", "localhost");
      conf.setIfMissing("spark.driver.bindAddress", "127.0.0.1");
      conf.setIfMissing("spark.ui.enabled", "false");
    }
    return new JavaSparkContext(conf);
  }
}
