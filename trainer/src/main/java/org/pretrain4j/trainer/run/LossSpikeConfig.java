package org.pretrain4j.trainer.run;

import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;
import org.pretrain4j.trainer.optim.SpikeDetector;
import org.pretrain4j.trainer.optim.StepGuard;

/** What a loss far above the latest ones leads to. */
public record LossSpikeConfig(
    @Key(
            "`ignore`: nothing; `skip`: the step's update is left out; `stop`: the run ends with exit code"
                + " 4")
        @Default("ignore")
        Action action,
    @Key("Number of latest losses that a loss is held against; emptied where a stage begins")
        @Default("128")
        int window,
    @Key("Standard deviations above their mean from which a loss is a spike") @Default("6")
        double zScore) {

  /** What follows a spike. */
  public enum Action {
    IGNORE,
    SKIP,
    STOP
  }

  private static final int MOST = 1_000_000;

  public LossSpikeConfig {
    new Checks()
        .require(window >= 2 && window <= MOST, "window", window, "a number from 2 to " + MOST)
        .positive("z_score", zScore)
        .throwIfAny();
  }

  /** A detector with an empty window, unless spikes lead to nothing. */
  Optional<StepGuard.SpikePolicy> policy() {
    return switch (action) {
      case IGNORE -> Optional.empty();
      case SKIP -> Optional.of(policy(StepGuard.OnSpike.SKIP));
      case STOP -> Optional.of(policy(StepGuard.OnSpike.STOP));
    };
  }

  private StepGuard.SpikePolicy policy(StepGuard.OnSpike onSpike) {
    return new StepGuard.SpikePolicy(new SpikeDetector(window, zScore), onSpike);
  }
}
