package org.pretrain4j.trainer.parallel.faults;

import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/** A fault that a run makes on purpose, for tests and drills. */
public record FaultInjection(
    @Key(
            "`crash`: the process ends at once, as if killed; `hang`: the rank stops for ever; `nan`:"
                + " its loss is not a number; `slow`: it takes longer")
        Kind kind,
    @Key("Step, counted from 0, at whose beginning it happens") long step,
    @Key("Rank to which it happens") int rank,
    @Key("Seconds that a slow rank takes longer") @Default("1") double seconds,
    @Key("Start of the run, counted from 1, in which it happens") @Default("1") int attempt) {

  /** What breaks. */
  public enum Kind {
    CRASH,
    HANG,
    NAN,
    SLOW
  }

  public FaultInjection {
    new Checks()
        .require(step >= 0, "step", step, "0 or more")
        .require(rank >= 0, "rank", rank, "0 or more")
        .require(seconds >= 0 && seconds <= 1e6, "seconds", seconds, "from 0 to 1000000")
        .require(attempt >= 0, "attempt", attempt, "1 or more")
        .throwIfAny();
  }
}
