package org.pretrain4j.trainer.optim;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.FlatRange;
import org.pretrain4j.configuration.UserException;

/**
 * Which parameters are decayed. A parameter is not if one of the patterns matches at the beginning
 * of its name (Python's {@code re.match}); all others are, norms included.
 */
public final class ParameterGroups {
  private final FlatLayout layout;
  private final double weightDecay;
  private final List<String> excludedBy; // for each entry the pattern that excludes it, or null

  private ParameterGroups(FlatLayout layout, double weightDecay, List<String> excludedBy) {
    this.layout = layout;
    this.weightDecay = weightDecay;
    this.excludedBy = excludedBy;
  }

  /**
   * Sorts the parameters of a layout.
   *
   * @param weightDecay of the parameters that no pattern excludes
   * @param exclude regular expressions
   * @throws UserException if a pattern can't be read or matches no parameter
   */
  public static ParameterGroups of(FlatLayout layout, double weightDecay, List<String> exclude) {
    List<String> excludedBy = new ArrayList<>();
    layout.entries().forEach(entry -> excludedBy.add(null));
    for (String expression : exclude) {
      Pattern pattern = compile(expression);
      boolean matches = false;
      for (int i = 0; i < layout.entries().size(); i++) {
        if (pattern.matcher(layout.entries().get(i).name()).lookingAt()) {
          matches = true;
          excludedBy.set(i, expression);
        }
      }
      if (!matches) {
        throw new UserException(
            "optimizer.weight_decay_exclude: '%s' matches no parameter; there are names such as %s: correct or delete the pattern (it must match from the beginning of the name)"
                .formatted(expression, someNames(layout)));
      }
    }
    return new ParameterGroups(layout, weightDecay, excludedBy);
  }

  private static Pattern compile(String expression) {
    try {
      return Pattern.compile(expression);
    } catch (PatternSyntaxException e) {
      throw new UserException(
          "optimizer.weight_decay_exclude: '%s' is no regular expression (%s at position %d): write one such as .*embed_tokens.*"
              .formatted(expression, e.getDescription(), e.getIndex()),
          e);
    }
  }

  private static String someNames(FlatLayout layout) {
    return layout.entries().stream()
        .limit(3)
        .map(FlatLayout.Entry::name)
        .collect(Collectors.joining(", "));
  }

  /**
   * The weight decay of ranges of the flat space, in their order; neighbours of the same decay in
   * one stretch.
   */
  public List<WeightDecayRange> decays(List<FlatRange> ranges) {
    List<WeightDecayRange> decays = new ArrayList<>();
    for (FlatRange range : ranges) {
      if (range.end() > layout.elements()) {
        throw new IllegalArgumentException(
            range + " leaves the " + layout.elements() + " elements of the layout");
      }
      for (int i = 0; i < layout.entries().size(); i++) {
        FlatRange entry = layout.entries().get(i).range();
        long start = Math.max(range.start(), entry.start());
        long end = Math.min(range.end(), entry.end());
        if (start < end) {
          append(decays, new WeightDecayRange(new FlatRange(start, end), decayOf(i)));
        }
      }
    }
    return List.copyOf(decays);
  }

  private double decayOf(int entry) {
    return excludedBy.get(entry) == null ? weightDecay : 0;
  }

  private static void append(List<WeightDecayRange> decays, WeightDecayRange next) {
    WeightDecayRange last = decays.isEmpty() ? null : decays.getLast();
    if (last != null
        && last.weightDecay() == next.weightDecay()
        && last.range().end() == next.range().start()) {
      decays.removeLast();
      next =
          new WeightDecayRange(
              new FlatRange(last.range().start(), next.range().end()), next.weightDecay());
    }
    decays.add(next);
  }

  /**
   * A line for each group, for people to read: layers are folded into one name.
   *
   * <pre>
   * weight decay  parameters  elements  names
   *          0.1          10     12345  model.layers.*.mlp.down_proj.weight, model.norm.weight
   *            0           1       678  model.embed_tokens.weight (.*embed_tokens.*)
   * </pre>
   */
  public String table() {
    StringBuilder table = new StringBuilder();
    table.append("weight decay  parameters        elements  names\n");
    appendGroup(table, true);
    appendGroup(table, false);
    return table.toString();
  }

  private void appendGroup(StringBuilder table, boolean decayed) {
    int parameters = 0;
    long elements = 0;
    List<String> names = new ArrayList<>();
    for (int i = 0; i < layout.entries().size(); i++) {
      if ((excludedBy.get(i) == null) == decayed) {
        FlatLayout.Entry entry = layout.entries().get(i);
        parameters++;
        elements += entry.elements();
        String name = entry.name().replaceAll("\\.\\d+\\.", ".*.");
        name = decayed ? name : name + " (" + excludedBy.get(i) + ")";
        if (!names.contains(name)) {
          names.add(name);
        }
      }
    }
    if (parameters > 0) {
      table.append(
          "%12s  %10d  %14d  %s%n"
              .formatted(
                  decayed ? weightDecay : 0, parameters, elements, String.join(", ", names)));
    }
  }
}
