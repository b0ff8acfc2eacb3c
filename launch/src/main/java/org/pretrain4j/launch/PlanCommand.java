package org.pretrain4j.launch;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.launch.plan.Gpu;
import org.pretrain4j.launch.plan.MemoryPlan;
import org.pretrain4j.launch.plan.ModelCost;
import org.pretrain4j.launch.plan.RunPlan;
import org.pretrain4j.launch.plan.TokenSupply;
import org.pretrain4j.trainer.model.FusedOperator;
import org.pretrain4j.trainer.model.ModelFlops;
import org.pretrain4j.trainer.run.RunConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Says what a run will need, before anything is paid for. */
@Command(
    name = "plan",
    header = "Works out what a run needs on a cluster: memory, time, tokens, storage.",
    description = {
      "Pure arithmetic: no GPU is needed. Each GPU is a data-parallel rank with its shard of the"
          + " optimizer's state."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j plan configs/smollm3-3b.yaml --gpu h100 --gpus 384",
      "  pretrain4j plan configs/smollm3-3b.yaml --gpu h200 --gpus 288 --mfu 0.4",
      "  pretrain4j plan configs/smollm3-3b.yaml --gpu h100 --peak-flops 362e12 --memory 48e9 --gpus 8"
    })
final class PlanCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ConfigurationOptions configuration;

  @Option(
      names = "--gpu",
      paramLabel = "NAME",
      defaultValue = "h100",
      description = "Kind of GPU: a100, b200, h100, h200 (default: ${DEFAULT-VALUE}).")
  private String gpu;

  @Option(
      names = "--gpus",
      paramLabel = "N",
      description = "How many of them (default: parallelism.ranks of the configuration).")
  private Long gpus;

  @Option(
      names = "--mfu",
      paramLabel = "SHARE",
      defaultValue = "0.30",
      description = {
        "Model FLOPs utilisation that a busy GPU reaches, as a share of its peak (default:"
            + " ${DEFAULT-VALUE}, that of the published SmolLM3 run)."
      })
  private double mfu;

  @Option(
      names = "--peak-flops",
      paramLabel = "FLOP/S",
      description = "Dense bf16 peak of a GPU, if it is another than the named one's.")
  private Double peakFlops;

  @Option(
      names = "--memory",
      paramLabel = "BYTES",
      description = "Memory of a GPU, if it is another than the named one's.")
  private Double memory;

  @Option(
      names = "--bus-bandwidth",
      paramLabel = "BYTES/S",
      description = {
        "Bus bandwidth of collectives (default: of the named GPU, within a node for up to 8 GPUs)."
      })
  private Double busBandwidth;

  @Option(
      names = "--storage-bandwidth",
      paramLabel = "BYTES/S",
      defaultValue = "1e9",
      description = "At which a node writes its part of a checkpoint (default: ${DEFAULT-VALUE}).")
  private double storageBandwidth;

  @Override
  public Integer call() {
    RunConfig config = configuration.read();
    RunPlan plan = plan(config);
    print(plan);
    return ExitCode.OK.number();
  }

  private RunPlan plan(RunConfig config) {
    Gpu named = Gpu.named(gpu);
    Gpu actual =
        new Gpu(
            named.name(),
            positive("--peak-flops", peakFlops == null ? named.peakFlops() : peakFlops),
            (long) positive("--memory", memory == null ? named.memoryBytes() : memory),
            named.nodeBusBandwidth(),
            named.clusterBusBandwidth());
    long count = gpus == null ? config.parallelism().ranks() : gpus;
    if (mfu > 1) {
      throw new UserException("--mfu is " + mfu + ", expected a share of the peak, such as 0.3");
    }
    positive("--storage-bandwidth", storageBandwidth);
    return new RunPlan(config, actual, (long) positive("--gpus", count), positive("--mfu", mfu));
  }

  private static double positive(String option, double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new UserException(option + " is " + value + ", expected more than 0");
    }
    return value;
  }

  private void print(RunPlan plan) {
    ModelCost cost = plan.cost();
    line(
        "model",
        "%s parameters (%s), %.2f GFLOP a token",
        HumanUnits.count(cost.parameters()),
        HumanUnits.exact(cost.parameters()),
        cost.flopsPerToken() / 1e9);
    line("", "%s", ModelFlops.FORMULA);
    line("ranks", "%s", ConfigurationSummary.ranks(plan.deal()));
    printMemory(plan);
    printTime(plan);
    printCommunication(plan);
    printCheckpoint(plan);
    printTokens(plan);
  }

  private void printMemory(RunPlan plan) {
    MemoryPlan memory = plan.memory();
    long there = plan.gpu().memoryBytes();
    double share = (double) memory.totalBytes() / there;
    line(
        "memory",
        "%s of %s on a GPU (%.0f%%): %s",
        HumanUnits.bytes(memory.totalBytes()),
        HumanUnits.bytes(there),
        100 * share,
        share > 1
            ? "does not fit; lower training.micro_batch_size or use more GPUs"
            : share > 0.9 ? "fits barely" : "fits");
    part("weights", memory.weights(), "the copy that computes");
    part(
        "gradients",
        memory.gradients(),
        plan.shardsGradients()
            ? "a shard of them and the buckets under way"
            : "all of them; parallelism.gradient_sharding can change that");
    part("optimizer", memory.optimizer(), "a shard of the master weights and moments");
    part("activations", memory.activations(), "of a micro-batch");
    part("logits", memory.logits(), "a chunk of them");
    if (memory.communication() > 0) {
      part("received", memory.communication(), "gradients of other ranks under way");
    }
    List<FusedOperator> composed = plan.config().training().composedOperators();
    if (!composed.isEmpty()) {
      line(
          "",
          "not counted: what training.composed_operators (%s) take for a moment",
          composed.stream()
              .map(operator -> operator.name().toLowerCase(Locale.ROOT))
              .collect(Collectors.joining(", ")));
    }
    line(
        "",
        "%s",
        "counted as the CPU's kernels need it; leave room on a GPU for CUDA's context, the"
            + " workspaces of cuBLAS and flash attention, NCCL's buffers, and what libtorch keeps");
  }

  private void part(String name, long bytes, String what) {
    line("", "%-12s %8s  %s", name, HumanUnits.bytes(bytes), what);
  }

  private void printTime(RunPlan plan) {
    line(
        "speed",
        "%s tokens/s on a busy GPU at %.0f%% of %.0f TFLOP/s; %s tokens/s in all, %.3f s a step",
        HumanUnits.exact(Math.round(plan.busyTokensPerSecondPerGpu())),
        100 * plan.mfu(),
        plan.gpu().peakFlops() / 1e12,
        HumanUnits.exact(Math.round(plan.tokensPerSecond())),
        plan.stepSeconds());
    line(
        "time",
        "%.1f days, %s GPU-hours for %s steps, %s tokens, without interruption",
        plan.days(),
        HumanUnits.exact(Math.round(plan.gpuHours())),
        HumanUnits.exact(plan.config().totalSteps()),
        HumanUnits.count(plan.config().totalTokens()));
    if (plan.deal().idleShare() > 0) {
      line("", "%.1f days if no GPU were idle", plan.days() * (1 - plan.deal().idleShare()));
    }
  }

  private void printCommunication(RunPlan plan) {
    double bandwidth =
        busBandwidth == null ? plan.busBandwidth() : positive("--bus-bandwidth", busBandwidth);
    double seconds = plan.communicationSeconds(bandwidth);
    line(
        "network",
        "%s sent by a GPU in a step (gradients %s, weights once); %.3f s at %s/s, %.0f%% of the"
            + " step if nothing overlaps",
        HumanUnits.bytes(plan.communicationBytes()),
        plan.reductions() == 1 ? "once" : plan.reductions() + " times",
        seconds,
        HumanUnits.bytes(bandwidth),
        100 * seconds / plan.stepSeconds());
  }

  private void printCheckpoint(RunPlan plan) {
    long nodes = Math.ceilDiv(plan.gpus(), Gpu.PER_NODE);
    double interval = plan.config().checkpoints().everySteps() * plan.stepSeconds();
    line(
        "checkpoint",
        "%s, written in %s by %s nodes at %s/s each; one every %s",
        HumanUnits.bytes(plan.checkpointBytes()),
        seconds(plan.checkpointBytes() / (nodes * storageBandwidth)),
        HumanUnits.exact(nodes),
        HumanUnits.bytes(storageBandwidth),
        seconds(interval));
  }

  private void printTokens(RunPlan plan) {
    line("datasets", "tokens that the run takes from each, and those that its manifest holds");
    Map<String, OptionalLong> held = TokenSupply.read(plan.config());
    List<String> repeated = new ArrayList<>();
    int unknown = 0;
    for (Map.Entry<String, Double> entry : plan.tokensByDataset().entrySet()) {
      OptionalLong there = held.get(entry.getKey());
      double needed = entry.getValue();
      String supply = "not here";
      if (there.isPresent()) {
        double epochs = needed / there.getAsLong();
        supply =
            String.format(
                Locale.ROOT, "%8s %8.2f epochs", HumanUnits.count(there.getAsLong()), epochs);
        if (epochs > 1) {
          repeated.add(String.format(Locale.ROOT, "%s (%.2f times)", entry.getKey(), epochs));
        }
      } else {
        unknown++;
      }
      line("", "%-28s %8s  %s", entry.getKey(), HumanUnits.count(needed), supply);
    }
    if (!repeated.isEmpty()) {
      line("", "more is needed than there is of %s", String.join(", ", repeated));
    }
    if (unknown > 0) {
      line("", "%d without a manifest in reach: nothing is known of their tokens", unknown);
    }
  }

  private static String seconds(double seconds) {
    return seconds < 10
        ? String.format(Locale.ROOT, "%.2g s", seconds)
        : HumanUnits.time(Duration.ofMillis(Math.round(1000 * seconds)));
  }

  private void line(String what, String format, Object... values) {
    PrintWriter out = spec.commandLine().getOut();
    out.println(
        String.format(Locale.ROOT, "%-12s ", what) + String.format(Locale.ROOT, format, values));
  }
}
