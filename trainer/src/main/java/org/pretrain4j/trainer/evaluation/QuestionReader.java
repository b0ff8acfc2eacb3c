package org.pretrain4j.trainer.evaluation;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/** Reads the questions of a task. */
final class QuestionReader {
  private static final Pattern FIELD = Pattern.compile("\\{([^{}]+)}");
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private final TaskConfig config;

  QuestionReader(TaskConfig config) {
    this.config = config;
  }

  /**
   * @param most number of questions; 0 for all
   * @throws UserException naming file and line, if a question is not as the configuration says
   */
  List<Question> read(Storage storage, long most) {
    List<Question> questions = new ArrayList<>();
    for (String glob : config.files()) {
      try {
        for (FileStatus file : storage.glob(glob)) {
          read(storage, file.getPath(), most, questions);
        }
      } catch (IOException e) {
        throw new UserException("%s can't be read: %s".formatted(glob, e.getMessage()), e);
      }
    }
    if (questions.isEmpty()) {
      throw new UserException(String.join(", ", config.files()) + " holds no question");
    }
    return questions;
  }

  private void read(Storage storage, Path file, long most, List<Question> questions)
      throws IOException {
    try (InputStream raw = storage.open(file);
        InputStream plain = file.getName().endsWith(".gz") ? new GZIPInputStream(raw) : raw;
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(plain, StandardCharsets.UTF_8))) {
      long number = 0;
      for (String line = lines.readLine();
          line != null && (most == 0 || questions.size() < most);
          line = lines.readLine()) {
        number++;
        if (!line.isBlank()) {
          questions.add(parse(line, file.toUri().getPath() + ":" + number));
        }
      }
    }
  }

  private Question parse(String line, String place) {
    JsonNode json;
    try {
      json = JSON.readTree(line);
    } catch (JsonProcessingException e) {
      throw new UserException(place + " is no JSON: " + e.getOriginalMessage(), e);
    }
    Matcher fields = FIELD.matcher(config.prompt().orElseThrow());
    String context =
        fields.replaceAll(
            field -> Matcher.quoteReplacement(field(json, field.group(1), place).asText()));
    List<String> choices = choices(json, place);
    return new Question(
        context, config.separator(), choices, answer(json, choices.size(), place), place);
  }

  private static JsonNode field(JsonNode json, String path, String place) {
    JsonNode value = json;
    for (String name : path.split("\\.")) {
      value = value.path(name);
    }
    if (value.isMissingNode() || value.isNull()) {
      throw new UserException(
          "%s has no field %s; name the fields of the task".formatted(place, path));
    }
    return value;
  }

  private List<String> choices(JsonNode json, String place) {
    List<String> choices = new ArrayList<>();
    for (String path : config.choices()) {
      JsonNode value = field(json, path, place);
      if (value.isArray()) {
        value.forEach(choice -> choices.add(choice.asText()));
      } else {
        choices.add(value.asText());
      }
    }
    if (choices.size() < 2 || choices.stream().anyMatch(String::isEmpty)) {
      throw new UserException(
          "%s has the choices %s, expected at least two that are not empty"
              .formatted(place, choices));
    }
    return choices;
  }

  private int answer(JsonNode json, int choices, String place) {
    String right = field(json, config.answer().orElseThrow(), place).asText();
    int found = -1;
    if (config.labels().isPresent()) {
      JsonNode labels = field(json, config.labels().get(), place);
      for (int i = 0; i < labels.size(); i++) {
        if (labels.get(i).asText().equals(right)) {
          found = i;
        }
      }
    } else if (right.matches("\\d{1,9}")) {
      found = Integer.parseInt(right) - config.firstNumber();
    }
    if (found < 0 || found >= choices) {
      throw new UserException(
          "%s: the right answer '%s' is none of its %d choices".formatted(place, right, choices));
    }
    return found;
  }
}
