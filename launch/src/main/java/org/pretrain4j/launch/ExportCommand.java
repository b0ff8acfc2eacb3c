package org.pretrain4j.launch;

import java.io.PrintWriter;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Locale;
import org.pretrain4j.trainer.exchange.ExportReport;
import picocli.CommandLine.Command;

/** Writes models for other programs. */
@Command(
    name = "export",
    header = "Writes a model for other programs, and checks what it wrote.",
    description = {
      "What was written is read back, and its logits are compared with those of the model, before it"
          + " appears. If they differ, nothing stays."
    },
    subcommands = {ExportHuggingFaceCommand.class, ExportGgufCommand.class})
final class ExportCommand extends CommandGroup {

  /** Says what was exported and how far it is from the model. */
  static void print(PrintWriter out, ExportReport report, String target, long bytes) {
    out.printf(
        Locale.ROOT, "%s: %s parameters%n", report.model(), HumanUnits.exact(report.parameters()));
    out.printf(
        Locale.ROOT,
        "verified: the logits of %d tokens, read back, are %s%% off those in fp32 (up to %s%%"
            + " passes)%s%n",
        report.probeTokens(),
        percent(report.difference()),
        percent(report.tolerance()),
        report.sameBits()
            ? " and the same bits as those of the weights rounded to " + report.type()
            : "");
    out.printf(Locale.ROOT, "%s: %s, %s%n", target, report.type(), HumanUnits.bytes(bytes));
    out.flush();
  }

  /** Three digits, or fewer. */
  private static String percent(double share) {
    BigDecimal digits = BigDecimal.valueOf(100 * share).round(new MathContext(3));
    return digits.stripTrailingZeros().toPlainString();
  }
}
