package org.pretrain4j.trainer.evaluation;

import java.util.List;
import java.util.Optional;
import org.pretrain4j.configuration.Checks;
import org.pretrain4j.configuration.Default;
import org.pretrain4j.configuration.Key;

/**
 * Questions in JSON lines, and which fields of theirs mean what. A field may lie deeper: {@code
 * choices.text} is the field {@code text} of the object {@code choices}.
 */
public record TaskConfig(
    @Key("Globs of files with a question in each line, also compressed by gzip") List<String> files,
    @Key(
            "Names of the fields: `arc` has question, choices.text, choices.label and answerKey,"
                + " `hellaswag` has activity_label, ctx, endings and label; the keys below count more")
        @Default("arc")
        Layout layout,
    @Key("What the model is given, with fields in braces, such as `Question: {question}`")
        @Default(value = "null", meaning = "that of the layout")
        Optional<String> prompt,
    @Key("The field that lists the choices, or the fields that hold one each, such as [sol1, sol2]")
        @Default(value = "[]", meaning = "that of the layout")
        List<String> choices,
    @Key("The field that lists the labels of the choices; without it, choices have numbers")
        @Default(value = "null", meaning = "that of the layout, if `choices` are its own")
        Optional<String> labels,
    @Key("The field that holds the label or the number of the right choice")
        @Default(value = "null", meaning = "that of the layout")
        Optional<String> answer,
    @Key("Number of the first choice") @Default("0") int firstNumber,
    @Key("What stands between prompt and choice; scored with the choice") @Default("' '")
        String separator) {

  /** Field names of well-known tasks. */
  public enum Layout {
    ARC("Question: {question}\nAnswer:", List.of("choices.text"), "choices.label", "answerKey"),
    HELLASWAG("{activity_label}: {ctx}", List.of("endings"), null, "label");

    private final String prompt;
    private final List<String> choices;
    private final String labels;
    private final String answer;

    Layout(String prompt, List<String> choices, String labels, String answer) {
      this.prompt = prompt;
      this.choices = choices;
      this.labels = labels;
      this.answer = answer;
    }
  }

  public TaskConfig {
    files = List.copyOf(files);
    Checks checks = new Checks();
    checks.require(!files.isEmpty(), List.of("files"), "needs at least one file");
    prompt.ifPresent(text -> checks.notBlank("prompt", text));
    labels.ifPresent(field -> checks.notBlank("labels", field));
    answer.ifPresent(field -> checks.notBlank("answer", field));
    checks.throwIfAny();
    prompt = Optional.of(prompt.orElse(layout.prompt));
    boolean own = choices.isEmpty() && labels.isEmpty();
    labels = own ? Optional.ofNullable(layout.labels) : labels;
    choices = choices.isEmpty() ? layout.choices : List.copyOf(choices);
    answer = Optional.of(answer.orElse(layout.answer));
  }
}
