package org.pretrain4j.trainer.parallel;

import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/** How many ranks share the work, and how they talk. */
public record ParallelismConfig(
    @Key("Number of data-parallel ranks") @Default("1") int ranks,
    @Key("Elements of a bucket of gradients that is reduced in one go") @Default("25M")
        long bucketElements) {

  public ParallelismConfig {
    new Checks().positive("ranks", ranks).positive("bucket_elements", bucketElements).throwIfAny();
  }
}
