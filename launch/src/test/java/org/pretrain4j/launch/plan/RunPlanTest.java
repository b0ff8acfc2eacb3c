package org.pretrain4j.launch.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.model.ActivationCheckpointing;
import org.pretrain4j.trainer.model.Kernels;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.run.ParallelismConfig;
import org.pretrain4j.trainer.run.RowDeal;
import org.pretrain4j.trainer.run.TrainingConfig.Precision;

/** The formulas against what was published about the SmolLM3-3B run. */
class RunPlanTest {
  private static final double MEASURED_MFU = 0.307;

  private final RunPlan reference =
      new RunPlan(ReferenceRun.run(), Gpu.named("h100"), 384, MEASURED_MFU);

  @Test
  void countsThePublishedParametersAndFlops() {
    assertEquals(3_075_098_624L, reference.cost().parameters());
    assertEquals(22.07e9, reference.cost().flopsPerToken(), 0.01e9);
  }

  @Test
  void anUntiedTableCostsMemoryButOnlyOneMatrixProduct() {
    ModelConfig tied = ReferenceRun.MODEL;
    ModelConfig untied =
        new ModelConfig(128_256, 2048, 11_008, 36, 16, 4, 0, 50_000, 4, 1e-6, 0.02, 4096, false);
    ModelCost one = ModelCost.of(tied, 4096);
    ModelCost two = ModelCost.of(untied, 4096);
    assertEquals(262_668_288, two.parameters() - one.parameters());
    assertEquals(one.flopsPerToken(), two.flopsPerToken());
  }

  @Test
  void atTheMeasuredUtilisationABusyGpuRunsAtThePublishedSpeed() {
    assertEquals(13_750, reference.busyTokensPerSecondPerGpu(), 30);
  }

  @Test
  void takesThePublishedDaysWhereNoGpuIsIdle() {
    // Tensor parallelism over pairs kept all 384 GPUs busy; per GPU that is 192 ranks twice as
    // fast.
    RunPlan pairs = new RunPlan(reference.config(), twice(Gpu.named("h100")), 192, MEASURED_MFU);
    assertEquals(0, pairs.deal().idleShare());
    assertEquals(0.447, pairs.stepSeconds(), 0.002);
    assertEquals(24.4, pairs.days(), 0.15);
    assertEquals(5.28e6, pairs.tokensPerSecond(), 0.02e6);
    assertEquals(384 * 24 * 24.4, 2 * pairs.gpuHours(), 384 * 24 * 0.15);
  }

  @Test
  void aQuarterOfTheTimeIsIdleIf384RanksShare576Rows() {
    RowDeal deal = reference.deal();
    assertEquals(576, deal.rows());
    assertEquals(2, deal.mostRows());
    assertEquals(0.25, deal.idleShare(), 1e-12);
    assertEquals(288, deal.evenBelow());
    assertEquals(OptionalLong.of(576), deal.evenAbove());
    assertEquals(24.4 / 0.75, reference.days(), 0.2);
  }

  @Test
  void ranksWithoutRowsAreIdle() {
    RowDeal deal = new RowDeal(4, 6);
    assertEquals(1.0 / 3, deal.idleShare(), 1e-12);
    assertEquals(4, deal.evenBelow());
    assertTrue(deal.evenAbove().isEmpty());
  }

  @Test
  void memoryOfTheReferenceRunWithFusedKernels() {
    long parameters = 3_075_098_624L;
    MemoryPlan plan = memory(1, 576, Kernels.FUSED);
    // Each of 147 buckets or so is padded to a multiple of 576 ranks times 32 elements.
    assertEquals(2 * parameters, plan.weights(), 2 * 160 * 576 * 32);
    assertEquals(4 * parameters, plan.gradients(), 4 * 160 * 576 * 32);
    assertEquals(12.0 * parameters / 576, plan.optimizer(), 12 * 160 * 32);
    // In bf16: both streams, queries and result, keys and values, gate and up; then what is shared.
    long layer = 2 * 4096 + 2 * 4096 + 2 * 1024 + 2 * 22_016 + 8 + 4 * 16;
    long shared = 3 * 4096 + 2 * 22_016 + 2 * 4096 + 2 * 1024 + 4 * 2048 + 4 + 12 * 2048;
    // At most 1046 tokens a chunk, so four chunks of 1024.
    long logits = 1024 * 128_256L * 2;
    assertEquals(logits, plan.logits());
    // What comes and goes: a copy of the logits' gradient, which is more than that of gate and up.
    assertEquals(4096 * (36 * layer + shared) + logits, plan.activations());
    assertEquals(
        plan.weights() + plan.gradients() + plan.optimizer() + plan.activations() + plan.logits(),
        plan.totalBytes());
  }

  @Test
  void memoryOfTheReferenceRunWithComposedKernels() {
    MemoryPlan plan = memory(1, 576, Kernels.COMPOSED);
    // Input, norms, attention and feed-forward of a layer, counted by hand from the operators.
    long layer = 4096 + 2 * (8192 + 4096 + 4096) + 4 * 4096 + 4 * 16 + 4 * 22_016;
    assertEquals(4096 * 36 * layer, plan.activations());
    assertEquals(1024L * 128_256 * 20, plan.logits());
    // The reference run saw that the model does not fit at 3 rows without tensor parallelism.
    assertTrue(memory(3, 1, Kernels.COMPOSED).totalBytes() > Gpu.named("h100").memoryBytes());
  }

  @Test
  void fp32NeedsAboutTwiceTheActivationsOfBf16InTheFusedPass() {
    long bf16 = MemoryPlan.fused(ReferenceRun.MODEL, 2, ActivationCheckpointing.NONE);
    long fp32 = MemoryPlan.fused(ReferenceRun.MODEL, 4, ActivationCheckpointing.NONE);
    // What is fp32 in both is little.
    assertEquals(2.0, (double) fp32 / bf16, 0.02);
  }

  @Test
  void checkpointingKeepsOfThe36LayersWhatItsNameSays() {
    long all = MemoryPlan.fused(ReferenceRun.MODEL, 2, ActivationCheckpointing.NONE);
    long selected = MemoryPlan.fused(ReferenceRun.MODEL, 2, ActivationCheckpointing.SELECTED);
    long full = MemoryPlan.fused(ReferenceRun.MODEL, 2, ActivationCheckpointing.FULL);
    // Gate and up of 35 layers; then middle, queries and result, keys and values, and sums.
    assertEquals(35 * 2 * 22_016, all - selected);
    assertEquals(35 * (4096 + 2 * 4096 + 2 * 1024 + 8 + 4 * 16), selected - full);
  }

  @Test
  void aMicroBatchIsNoLargerThanARanksRows() {
    assertEquals(
        memory(1, 576, Kernels.FUSED).activations(), memory(3, 576, Kernels.FUSED).activations());
  }

  @Test
  void communicationAndCheckpoint() {
    double bytes = (4.0 + 2.0) * 3_075_098_624L * 383 / 384;
    assertEquals(bytes, reference.communicationBytes(), 1);
    assertEquals(bytes / 330e9, reference.communicationSeconds(reference.busBandwidth()), 1e-6);
    assertEquals(36_901_183_488L, reference.checkpointBytes());
    assertEquals(1, reference.reductions());
    RunPlan eight = new RunPlan(reference.config(), reference.gpu(), 8, 0.3);
    assertEquals(1, eight.reductions(), "full gradients are reduced after 24 micro-batches");
    assertEquals(480e9, new RunPlan(reference.config(), reference.gpu(), 8, 0.3).busBandwidth());
    assertEquals(0, new RunPlan(reference.config(), reference.gpu(), 1, 0.3).communicationBytes());
  }

  @Test
  void tokensOfADatasetAreItsSharesOfTheStages() {
    Map<String, Double> tokens = reference.tokensByDataset();
    double batch = 2_359_296;
    assertEquals(
        batch * (3_450_000 * 0.75 + 750_000 * 0.5 + 520_000 * 0.8), tokens.get("web"), batch);
    assertEquals(batch * 4_720_000, tokens.get("web") + tokens.get("code"), batch);
    assertEquals(11.136e12, batch * 4_720_000, 0.001e12);
  }

  @Test
  void anUnknownGpuIsAnErrorThatNamesTheKnownOnes() {
    assertEquals("h100", Gpu.named("H100").name());
    UserException error = assertThrows(UserException.class, () -> Gpu.named("h1000"));
    assertTrue(error.getMessage().contains("h100, h200"), error.getMessage());
    assertFalse(error.getMessage().contains("\n"));
  }

  private static MemoryPlan memory(int microBatchSize, long ranks, Kernels kernels) {
    return MemoryPlan.of(
        ReferenceRun.MODEL,
        ReferenceRun.training(microBatchSize, Precision.BF16, kernels),
        new ParallelismConfig(1, 25_000_000, 0, GradientSharding.FULL),
        ranks);
  }

  private static Gpu twice(Gpu gpu) {
    return new Gpu(
        "a pair",
        2 * gpu.peakFlops(),
        2 * gpu.memoryBytes(),
        gpu.nodeBusBandwidth(),
        gpu.clusterBusBandwidth());
  }
}
