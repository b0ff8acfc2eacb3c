package org.pretrain4j.trainer.run;

import java.time.Duration;
import java.util.List;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;
import org.pretrain4j.trainer.parallel.GradientSharding;
import org.pretrain4j.trainer.parallel.backend.Backend;
import org.pretrain4j.trainer.parallel.cluster.World;

/** How many ranks share the work, how they talk, and how long they wait for each other. */
public record ParallelismConfig(
    @Key(
            "Number of data-parallel ranks, as threads of one process; a launcher's processes count instead")
        @Default("1")
        int ranks,
    @Key(
            "Ranks of each process that a launcher starts, as threads of it: with `nccl` a GPU each,"
                + " for one process a machine instead of one a GPU; more than 1 needs `nccl` or"
                + " `tcp`")
        @Default("1")
        int ranksPerProcess,
    @Key("Elements of a bucket of gradients that is reduced in one go") @Default("25M")
        long bucketElements,
    @Key("Threads of libtorch and of the optimizer for each rank")
        @Default(
            value = "0",
            meaning = "the cores that the process may use, divided by the ranks of this machine")
        int computeThreads,
    @Key(
            "What a rank keeps of the gradients: `full` all of them, reduced once a step; `sharded`"
                + " its shard and the buckets under way, reduced in every micro-batch; `auto`"
                + " shards where a rank has one micro-batch a step and that takes less memory")
        @Default("auto")
        GradientSharding gradientSharding,
    @Key(
            "What moves the bytes between processes: `auto` takes `nccl` for buffers on GPUs, else `mpi`"
                + " under mpirun, else `tcp`; ranks of one process need none")
        @Default("auto")
        Backend collectives,
    @Key("Longest wait in seconds for all processes of a run to come") @Default("600")
        long joinTimeoutSeconds,
    @Key("Longest wait in seconds for other ranks in one collective; then the run fails")
        @Default("900")
        long collectiveTimeoutSeconds,
    @Key(
            "Longest time in seconds that a rank may stay at one place of a step; then it counts as"
                + " hanging: records and thread dumps are written, and its process ends with 70")
        @Default("600")
        long hangTimeoutSeconds,
    @Key(
            "Longest time in seconds that finding a checkpoint, preparing data (without any progress)"
                + " or saving may take; the ranks that wait for it are not taken for hanging")
        @Default("7200")
        long longWorkTimeoutSeconds,
    @Key(
            "Time in seconds from SIGTERM until a process that has not yet saved and left ends as it is,"
                + " with 143")
        @Default("240")
        long graceSeconds) {

  private static final long LONGEST = Duration.ofDays(365).toSeconds();
  private static final String TIME = "seconds from 1 to " + LONGEST + " (a year)";

  public ParallelismConfig {
    new Checks()
        .positive("ranks", ranks)
        .positive("ranks_per_process", ranksPerProcess)
        .positive("bucket_elements", bucketElements)
        .notNegative("compute_threads", computeThreads)
        .require(isTime(joinTimeoutSeconds), "join_timeout_seconds", joinTimeoutSeconds, TIME)
        .require(
            isTime(collectiveTimeoutSeconds),
            "collective_timeout_seconds",
            collectiveTimeoutSeconds,
            TIME)
        .require(isTime(hangTimeoutSeconds), "hang_timeout_seconds", hangTimeoutSeconds, TIME)
        .require(
            isTime(longWorkTimeoutSeconds),
            "long_work_timeout_seconds",
            longWorkTimeoutSeconds,
            TIME)
        .require(isTime(graceSeconds), "grace_seconds", graceSeconds, TIME)
        .together(
            List.of("hang_timeout_seconds", "collective_timeout_seconds"),
            () -> hangTimeoutSeconds <= collectiveTimeoutSeconds,
            hangTimeoutSeconds,
            "at most collective_timeout_seconds "
                + collectiveTimeoutSeconds
                + ", so that a hang is described before the others give up")
        .throwIfAny();
  }

  /** With the usual engine and times. */
  public ParallelismConfig(
      int ranks, long bucketElements, int computeThreads, GradientSharding gradientSharding) {
    this(
        ranks,
        1,
        bucketElements,
        computeThreads,
        gradientSharding,
        Backend.AUTO,
        600,
        900,
        600,
        7200,
        240);
  }

  private static boolean isTime(long seconds) {
    return seconds >= 1 && seconds <= LONGEST;
  }

  /** Ranks that are threads of this process, one among those of the run. */
  public int ranksOf(World process) {
    return process.source() == World.Source.NONE ? ranks : ranksPerProcess;
  }

  /** Compute threads of a rank on a machine with so many cores that runs so many ranks. */
  public int threadsOf(int cores, int ranksOfMachine) {
    return computeThreads > 0 ? computeThreads : Math.max(1, cores / ranksOfMachine);
  }

  /** Longest wait for all processes to come. */
  public Duration joinTimeout() {
    return Duration.ofSeconds(joinTimeoutSeconds);
  }

  /** Longest wait in one collective. */
  public Duration collectiveTimeout() {
    return Duration.ofSeconds(collectiveTimeoutSeconds);
  }

  /** Longest stay at one place of a step. */
  public Duration hangTimeout() {
    return Duration.ofSeconds(hangTimeoutSeconds);
  }

  /** Longest work outside of steps. */
  public Duration longWorkTimeout() {
    return Duration.ofSeconds(longWorkTimeoutSeconds);
  }

  /** From SIGTERM to the end. */
  public Duration grace() {
    return Duration.ofSeconds(graceSeconds);
  }
}
