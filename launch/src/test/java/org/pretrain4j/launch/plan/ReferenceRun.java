package org.pretrain4j.launch.plan;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.checkpoints.CheckpointConfig;
import org.pretrain4j.data.DataConfig;
import org.pretrain4j.data.DatasetConfig;
import org.pretrain4j.data.TokenizerConfig;
import org.pretrain4j.trainer.device.DeviceChoice;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.optim.OptimizerConfig;
import org.pretrain4j.trainer.optim.ScheduleConfig;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.run.LossSpikeConfig;
import org.pretrain4j.trainer.run.ParallelismConfig;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.run.StageConfig;
import org.pretrain4j.trainer.run.TrainingConfig;
import org.pretrain4j.trainer.run.TrainingConfig.Precision;

/** SmolLM3-3B as it was trained, with two made-up datasets instead of its 56. */
final class ReferenceRun {
  static final ModelConfig MODEL =
      new ModelConfig(128_256, 2048, 11_008, 36, 16, 4, 0, 50_000, 4, 1e-6, 0.02, 4096, true);

  private ReferenceRun() {}

  static TrainingConfig training(int microBatchSize, Precision precision, Kernels kernels) {
    return new TrainingConfig(
        4096,
        2_359_296,
        microBatchSize,
        precision,
        kernels,
        List.of(),
        ActivationCheckpointing.NONE,
        DeviceChoice.AUTO,
        true,
        5,
        new LossSpikeConfig(LossSpikeConfig.Action.IGNORE, 128, 6));
  }

  static RunConfig run() {
    return run(training(3, Precision.BF16, Kernels.FUSED));
  }

  static RunConfig run(TrainingConfig training) {
    return new RunConfig(
        "reference",
        Optional.empty(),
        6,
        MODEL,
        new TokenizerConfig("tokenizer.json", "<|end_of_text|>"),
        new DataConfig(Map.of("web", shards("web"), "code", shards("code")), 4, Optional.empty()),
        List.of(
            stage("stage1", 3_450_000, 3, 1),
            stage("stage2", 750_000, 1, 1),
            stage("stage3", 520_000, 1, 0.25)),
        training,
        new OptimizerConfig(2e-4, 0.9, 0.95, 1e-8, 0.1, List.of(".*embed_tokens.*"), 1.0),
        new ScheduleConfig(
            ScheduleConfig.Type.WSD,
            2000,
            Optional.of(4_198_000L),
            Optional.of(522_000L),
            Optional.empty(),
            0),
        new ParallelismConfig(384, 25_000_000, 0, GradientSharding.AUTO),
        new CheckpointConfig(2000, 3, 0, 0, Optional.empty(), Optional.empty(), 4_000_000_000L),
        List.of(),
        Optional.empty());
  }

  private static DatasetConfig shards(String name) {
    return new DatasetConfig(
        List.of(),
        DatasetConfig.Format.TEXT,
        "text",
        Optional.of("hdfs:///" + name),
        Optional.empty(),
        Optional.empty());
  }

  private static StageConfig stage(String name, long steps, double web, double code) {
    return new StageConfig(
        name, Optional.of(steps), Optional.empty(), Map.of("web", web, "code", code));
  }
}
