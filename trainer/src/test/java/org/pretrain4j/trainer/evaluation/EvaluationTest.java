package org.pretrain4j.trainer.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.TextFormat;
import org.pretrain4j.data.text.TextInputs;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.TokenizeJob;
import org.pretrain4j.data.tokens.TokenizeOptions;
import org.pretrain4j.data.tokens.Tokenizer;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.model.FlatStorage;
import org.pretrain4j.trainer.model.InferenceModel;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.parallel.InProcessGroup;
import org.pretrain4j.trainer.reference.ReferenceModel;

/** Evaluation against log-likelihoods of an independent model in float64, token by token. */
final class EvaluationTest {
  private static final int LENGTH = 24;
  private static final long SEED = 41;
  private static final int END = 257;
  private static final ModelConfig CONFIG =
      new ModelConfig(320, 32, 48, 4, 4, 2, 0, 50_000, 4, 1e-6, 0.02, 64, true);

  @TempDir private Path folder;
  private final Storage storage = new Storage(new Configuration());
  private Tokenizer tokenizer;
  private NDManager manager;
  private Map<String, double[]> parameters;
  private ReferenceModel reference;
  private InferenceModel model;

  @BeforeEach
  void open() {
    System.out.println("seed " + SEED);
    tokenizer =
        Tokenizer.load(storage, "../configs/tokenizers/bytes/tokenizer.json", "<|end_of_text|>");
    manager = NDManager.newBaseManager("PyTorch");
    ReferenceModel.Config sizes =
        new ReferenceModel.Config(320, 32, 48, 4, 4, 2, 8, 50_000, 4, 1e-6, true);
    parameters = ReferenceModel.randomParameters(sizes, new Random(SEED), 0.25);
    // What fp32 holds, so that both have the same weights.
    parameters.values().forEach(values -> Arrays.setAll(values, i -> (float) values[i]));
    reference = new ReferenceModel(sizes, parameters);
    model = model(manager);
  }

  private InferenceModel model(NDManager owner) {
    FlatStorage weights =
        new FlatStorage(owner, ModelLayout.of(CONFIG).parameters(), parameters, ScalarType.FLOAT32);
    return InferenceModel.exact(owner, CONFIG, weights, LENGTH);
  }

  @AfterEach
  void close() {
    model.close();
    manager.close();
    tokenizer.close();
  }

  private static EvaluationConfig parse(String yaml) {
    return ConfigurationReader.parse(
        EvaluationConfig.class, "every_steps: 1\n" + yaml, "the test's configuration");
  }

  private EvaluationResult evaluate(String yaml) {
    return new Evaluation(parse(yaml), storage, tokenizer, LENGTH, 0)
        .run(model::targetLogProbabilities, RankExchange.ALONE);
  }

  /** Log-likelihood of the last token, given those before it. */
  private double logLikelihood(int[] tokens) {
    int last = tokens.length - 1;
    int[] targets = new int[last];
    Arrays.fill(targets, ReferenceModel.MASKED);
    targets[last - 1] = tokens[last];
    return -reference.loss(Arrays.copyOf(tokens, last), targets, new int[0]);
  }

  private static int[] bytes(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    int[] tokens = new int[utf8.length];
    Arrays.setAll(tokens, i -> utf8[i] & 0xff);
    return tokens;
  }

  private static int[] document(String text) {
    int[] tokens = Arrays.copyOf(bytes(text), bytes(text).length + 1);
    tokens[tokens.length - 1] = END;
    return tokens;
  }

  /** Every token but the first, each in the first window that reaches it. */
  private double nats(int[] document, int stride) {
    double sum = 0;
    for (int at = 1; at < document.length; at++) {
      int start = at <= LENGTH ? 0 : Math.ceilDiv(at - LENGTH, stride) * stride;
      sum -= logLikelihood(Arrays.copyOfRange(document, start, at + 1));
    }
    return sum;
  }

  @ParameterizedTest
  @CsvSource({"24, ''", "24, 'stride: 24'", "7, 'stride: 7'", "1, 'stride: 1'"})
  void everyTokenButTheFirstIsScoredOnceInItsWindow(int stride, String setting) throws IOException {
    List<String> texts =
        List.of(
            "short",
            "naïve 東京",
            "x",
            "",
            "A longer one, of more than two windows, which ends here.");
    double nats = 0;
    long tokens = 0;
    long bytes = 0;
    for (int i = 0; i < texts.size(); i++) {
      Files.writeString(folder.resolve("document" + i + ".txt"), texts.get(i));
      int[] document = document(texts.get(i));
      nats += nats(document, stride);
      tokens += document.length - 1;
      bytes += document.length - 1;
    }
    DatasetScore score =
        evaluate("datasets: {held: {text: [\"" + folder + "/*.txt\"]}}\n" + setting)
            .datasets()
            .get("held");
    assertEquals(texts.size() - 1, score.documents(), "the empty one has nothing to score");
    assertEquals(tokens, score.tokens());
    assertEquals(bytes, score.bytes());
    assertEquals(nats / tokens, score.loss(), 1e-5);
    assertEquals(Math.exp(nats / tokens), score.perplexity(), 1e-3);
    assertEquals(nats / Math.log(2) / bytes, score.bitsPerByte(), 1e-5);
  }

  private String writeLines(int documents) throws IOException {
    StringBuilder lines = new StringBuilder();
    Random random = new Random(SEED);
    for (int i = 0; i < documents; i++) {
      String text = "line " + i + " of some ".repeat(random.nextInt(5)) + "text";
      lines.append("{\"text\":\"").append(text).append("\"}\n");
    }
    Files.writeString(folder.resolve("lines.jsonl"), lines);
    return "datasets: {held: {text: [\"" + folder + "/lines.jsonl\"], format: jsonl}}\n";
  }

  @Test
  void shardsAreTheSameDocumentsAsTheirText() throws IOException {
    String text = writeLines(60);
    new TokenizeJob(
            storage,
            tokenizer,
            TextInputs.find(storage, List.of(folder + "/lines.jsonl"), TextFormat.JSONL, "text"),
            storage.path(folder + "/shards"),
            new TokenizeOptions(400, 64, 0, 1, 1),
            new PreparationListener() {})
        .run();
    DatasetScore shards =
        evaluate("datasets: {held: {shards: \"" + folder + "/shards\"}}").datasets().get("held");
    assertEquals(evaluate(text).datasets().get("held"), shards);
    assertEquals(60, shards.documents());
  }

  @Test
  void anyNumberOfRanksGetsTheSameBits() throws Exception {
    String yaml = writeLines(2500);
    DatasetScore alone = evaluate(yaml).datasets().get("held");
    for (int ranks : new int[] {2, 3}) {
      List<DatasetScore> scores = new ArrayList<>();
      InProcessGroup.run(
          ranks,
          Duration.ofMinutes(1),
          collectives -> {
            try (NDManager own = NDManager.newBaseManager("PyTorch");
                InferenceModel mine = model(own)) {
              DatasetScore score =
                  new Evaluation(parse(yaml), storage, tokenizer, LENGTH, 0)
                      .run(mine::targetLogProbabilities, RankExchange.over(collectives))
                      .datasets()
                      .get("held");
              synchronized (scores) {
                scores.add(score);
              }
            }
          });
      assertEquals(ranks, scores.size());
      scores.forEach(score -> assertEquals(alone, score));
    }
  }

  private static final String ARC =
      """
      {"question":"What is wet?","choices":{"text":["water","a stone","fire"],"label":["A","B","C"]},"answerKey":"A"}
      {"question":"Two and two?","choices":{"text":["three","four"],"label":["1","2"]},"answerKey":"2"}
      {"question":"Sky?","choices":{"text":["blue, mostly","red"],"label":["A","B"]},"answerKey":"B"}
      {"question":"Which of these is an animal with four legs?","choices":{"text":["é","a dog"],"label":["A","B"]},"answerKey":"B"}
      """;

  private record Expected(String context, List<String> choices, int answer) {}

  private static final List<Expected> ARC_QUESTIONS =
      List.of(
          new Expected("Question: What is wet?\nAnswer:", List.of("water", "a stone", "fire"), 0),
          new Expected("Question: Two and two?\nAnswer:", List.of("three", "four"), 1),
          new Expected("Question: Sky?\nAnswer:", List.of("blue, mostly", "red"), 1),
          new Expected(
              "Question: Which of these is an animal with four legs?\nAnswer:",
              List.of("é", "a dog"),
              1));

  private double choiceNats(String context, String choice) {
    int[] tokens = bytes(context + " " + choice);
    double sum = 0;
    for (int at = bytes(context).length; at < tokens.length; at++) {
      int start = Math.max(0, tokens.length - LENGTH - 1);
      sum += logLikelihood(Arrays.copyOfRange(tokens, start, at + 1));
    }
    return sum;
  }

  private TaskScore expected(List<Expected> questions) {
    double[] right = new double[3];
    for (Expected question : questions) {
      double[] best = {
        Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY
      };
      int[] chosen = new int[3];
      for (int i = 0; i < question.choices().size(); i++) {
        String choice = question.choices().get(i);
        double sum = choiceNats(question.context(), choice);
        double[] values = {sum, sum / choice.length(), sum / (bytes(choice).length + 1)};
        for (int norm = 0; norm < 3; norm++) {
          if (values[norm] > best[norm]) {
            best[norm] = values[norm];
            chosen[norm] = i;
          }
        }
      }
      for (int norm = 0; norm < 3; norm++) {
        right[norm] += chosen[norm] == question.answer() ? 1.0 / questions.size() : 0;
      }
    }
    return new TaskScore(questions.size(), right[0], right[1], right[2]);
  }

  @Test
  void choicesAreScoredAsTheReferenceScoresThem() throws IOException {
    Files.writeString(folder.resolve("arc.jsonl"), ARC);
    MultipleChoice choices = new MultipleChoice(tokenizer, LENGTH);
    List<Segment> segments = new ArrayList<>();
    List<Double> expected = new ArrayList<>();
    for (Expected question : ARC_QUESTIONS) {
      for (String choice : question.choices()) {
        segments.add(
            choices.segment(
                new Question(question.context(), " ", question.choices(), 0, "arc:1"), choice));
        expected.add(choiceNats(question.context(), choice));
      }
    }
    List<Double> sums = new ArrayList<>();
    new SegmentScores(model::targetLogProbabilities, RankExchange.ALONE, LENGTH)
        .score(segments.iterator(), sums::add);
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.get(i), sums.get(i), 1e-5 * Math.abs(expected.get(i)), "choice " + i);
    }
    TaskScore score =
        evaluate("tasks: {arc: {files: [\"" + folder + "/arc.jsonl\"]}}").tasks().get("arc");
    assertEquals(expected(ARC_QUESTIONS), score);
  }

  @Test
  void aChoiceThatCannotBeScoredIsNamedWithItsPlace() {
    MultipleChoice choices = new MultipleChoice(tokenizer, LENGTH);
    String longest = "x".repeat(LENGTH - 1); // And the separator.
    Question question = new Question("Why?", " ", List.of(longest, "A"), 0, "arc.jsonl:7");
    assertEquals(LENGTH, choices.segment(question, longest).targets());
    UserException tooLong =
        assertThrows(UserException.class, () -> choices.segment(question, longest + "x"));
    assertTrue(
        tooLong.getMessage().startsWith("arc.jsonl:7: a choice of " + (LENGTH + 1) + " tokens"),
        tooLong.getMessage());
    Question empty = new Question("", "", List.of("A", "B"), 0, "arc.jsonl:8");
    UserException nothing = assertThrows(UserException.class, () -> choices.segment(empty, "A"));
    assertTrue(nothing.getMessage().startsWith("arc.jsonl:8: "), nothing.getMessage());
    // Of more tokens the first is what the others are told by.
    assertEquals(2, choices.segment(empty, "ABC").targets());
  }

  @Test
  void hellaSwagAndOtherFieldsAreUnderstood() throws IOException {
    Files.writeString(
        folder.resolve("hellaswag.jsonl"),
        """
        {"activity_label":"Cooking","ctx":"A man","endings":["cuts an onion.","flies."],"label":"0"}
        {"activity_label":"Sport","ctx":"She","endings":["sleeps.","runs.","is a car."],"label":1}
        """);
    Files.writeString(
        folder.resolve("piqa.jsonl"),
        """
        {"goal":"Open it","sol1":"pull","sol2":"push the door","right":{"one":2}}
        """);
    EvaluationResult result =
        evaluate(
            """
            tasks:
              swag: {files: ["%s/hellaswag.jsonl"], layout: hellaswag}
              one: {files: ["%s/hellaswag.jsonl"], layout: hellaswag}
              piqa:
                files: ["%s/piqa.jsonl"]
                prompt: "{goal}:"
                choices: [sol1, sol2]
                answer: right.one
                first_number: 1
            """
                .formatted(folder, folder, folder));
    assertEquals(
        expected(
            List.of(
                new Expected("Cooking: A man", List.of("cuts an onion.", "flies."), 0),
                new Expected("Sport: She", List.of("sleeps.", "runs.", "is a car."), 1))),
        result.tasks().get("swag"));
    assertEquals(
        expected(List.of(new Expected("Open it:", List.of("pull", "push the door"), 1))),
        result.tasks().get("piqa"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"question\": | bad.jsonl:2 is no JSON",
        "{\"question\":\"a\"} | bad.jsonl:2 has no field choices.text",
        "{\"question\":\"a\",\"choices\":{\"text\":[\"x\"],\"label\":[\"A\"]},\"answerKey\":\"A\"} | expected at least two",
        "{\"question\":\"a\",\"choices\":{\"text\":[\"x\",\"y\"],\"label\":[\"A\",\"B\"]},\"answerKey\":\"C\"} | the right answer 'C' is none",
      })
  void aQuestionThatIsNotOneIsNamed(String line, String complaint) throws IOException {
    Files.writeString(folder.resolve("bad.jsonl"), ARC.lines().findFirst().get() + "\n" + line);
    UserException refused =
        assertThrows(
            UserException.class,
            () -> evaluate("tasks: {arc: {files: [\"" + folder + "/bad.jsonl\"]}}"));
    assertTrue(refused.getMessage().contains(complaint), refused.getMessage());
  }

  @Test
  void whatCannotBeEvaluatedIsNamed() throws IOException {
    Files.writeString(folder.resolve("empty.txt"), "");
    String empty = "datasets: {held: {text: [\"" + folder + "/empty.txt\"]}}\n";
    assertTrue(
        assertThrows(UserException.class, () -> evaluate(empty))
            .getMessage()
            .contains("'held' has no text"));
    assertTrue(
        assertThrows(UserException.class, () -> evaluate(empty + "stride: 25"))
            .getMessage()
            .contains("stride 25"));
    assertEquals(Optional.empty(), parse(empty).stride());
  }
}
