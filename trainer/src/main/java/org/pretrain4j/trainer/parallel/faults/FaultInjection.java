package org.pretrain4j.trainer.parallel.faults;

import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;
import org.pretrain4j.configuration.Spelled;

/** A fault that a run makes on purpose, for tests and drills. */
public record FaultInjection(
    @Key(
            "`crash`: the process ends at once, as if killed; `hang`: the rank stops for ever;"
                + " `nan`: its loss is not a number; `nan_gradient`: one of its gradients is not;"
                + " `slow`: it takes longer")
        Kind kind,
    @Key("Step, counted from 0, at whose beginning it happens") long step,
    @Key("Rank to which it happens") int rank,
    @Key("Steps in a row that it lasts") @Default("1") long steps,
    @Key("Seconds that a step of a slow rank takes longer") @Default("1") double seconds,
    @Key(
            "Start of the run, counted from 1 by the launcher (PRETRAIN4J_ATTEMPT), in which it"
                + " happens")
        @Default("1")
        int attempt) {

  /** What breaks. */
  public enum Kind {
    CRASH,
    HANG,
    NAN,
    @Spelled("nan_gradient")
    NAN_GRADIENT,
    SLOW
  }

  /** Whether it happens in this step. */
  boolean isIn(long now) {
    return now >= step && now - step < steps;
  }

  public FaultInjection {
    new Checks()
        .require(step >= 0, "step", step, "0 or more")
        .require(rank >= 0, "rank", rank, "0 or more")
        .require(steps >= 1, "steps", steps, "1 or more")
        .require(seconds >= 0 && seconds <= 1e6, "seconds", seconds, "from 0 to 1000000")
        .require(attempt >= 1, "attempt", attempt, "1 or more")
        .throwIfAny();
  }
}
