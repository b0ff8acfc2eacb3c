package org.pretrain4j.trainer.exchange;

import ai.djl.ndarray.NDManager;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;
import org.pretrain4j.checkpoints.huggingface.ModelTensors;
import org.pretrain4j.checkpoints.merging.ModelInput;
import org.pretrain4j.checkpoints.tensors.TensorSource;
import org.pretrain4j.configuration.ConfigurationReader;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.tokens.Tokenizer;
import org.pretrain4j.trainer.libtorch.ScalarType;
import org.pretrain4j.trainer.libtorch.Tensor;
import org.pretrain4j.trainer.model.InferenceModel;
import org.pretrain4j.trainer.model.ModelConfig;
import org.pretrain4j.trainer.model.ModelLayout;
import org.pretrain4j.trainer.run.RunConfig;
import org.pretrain4j.trainer.run.RunPlace;

/** A model that a user named by its folder, with all that it takes to compute with it. */
public final class StoredModel implements AutoCloseable {
  private static final int PIECE_ELEMENTS = 1 << 20;

  private final ModelInput input;
  private final ModelConfig config;
  private final Optional<RunConfig> run;
  private final Optional<Path> tokenizer;

  private StoredModel(
      ModelInput input, ModelConfig config, Optional<RunConfig> run, Optional<Path> tokenizer) {
    this.input = input;
    this.config = config;
    this.run = run;
    this.tokenizer = tokenizer;
  }

  /**
   * Opens a model.
   *
   * @param place folder of a run (its newest good checkpoint), of checkpoints, of one checkpoint,
   *     or of a model in the format of Hugging Face or nanotron
   * @param tokenizer a tokenizer.json instead of the one that the model names
   * @param warn told in one line about each damaged checkpoint that is skipped
   * @throws UserException if it is none of these, or damaged
   */
  public static StoredModel open(String place, Optional<String> tokenizer, Consumer<String> warn) {
    ModelInput input = input(place, warn);
    try {
      Optional<RunConfig> run = input.checkpoint().map(StoredModel::configuration);
      ModelConfig config =
          run.map(RunConfig::model)
              .orElseGet(() -> Architectures.toConfig(input.architecture().orElseThrow()));
      Optional<Path> known =
          tokenizer.map(new Storage(new Configuration())::path).or(input::tokenizer);
      return new StoredModel(input, config, run, known);
    } catch (RuntimeException e) {
      input.close();
      throw e;
    }
  }

  private static RunConfig configuration(Checkpoint checkpoint) {
    return ConfigurationReader.parse(
        RunConfig.class,
        checkpoint.state().configuration(),
        checkpoint.folder() + " (its configuration)");
  }

  /**
   * Opens the weights of a model, with what the run of a checkpoint knows about them.
   *
   * @param place as of {@link #open}
   * @param warn told in one line about each damaged checkpoint that is skipped
   * @throws UserException if it is none of these, or damaged
   */
  public static ModelInput input(String place, Consumer<String> warn) {
    ModelInput input =
        ModelInput.open(place, folder -> RunPlace.checkpointsAt(folder).toString(), warn);
    try {
      return input
          .checkpoint()
          .filter(checkpoint -> !checkpoint.state().configuration().isBlank())
          .map(checkpoint -> withRun(input, checkpoint))
          .orElse(input);
    } catch (RuntimeException e) {
      input.close();
      throw e;
    }
  }

  private static ModelInput withRun(ModelInput input, Checkpoint checkpoint) {
    RunConfig run = configuration(checkpoint);
    return input.with(
        Architectures.of(run.model(), OptionalInt.empty()), RunPlace.tokenizer(checkpoint, run));
  }

  /** Where it was found, for messages. */
  public String name() {
    String name = input.tensors().name();
    return name.startsWith("file:") ? new Path(name).toUri().getPath() : name;
  }

  /** Its sizes. */
  public ModelConfig config() {
    return config;
  }

  /** The run that it is of, if it is a checkpoint. */
  public Optional<RunConfig> run() {
    return run;
  }

  /** The checkpoint, if it is one. */
  public Optional<Checkpoint> checkpoint() {
    return input.checkpoint();
  }

  /** Its tensors, under the names of Hugging Face. */
  public TensorSource tensors() {
    return input.tensors();
  }

  /** The tokenizer.json, if one is known. */
  public Optional<Path> tokenizer() {
    return tokenizer;
  }

  /**
   * The tokenizer.json.
   *
   * @throws UserException if none is known
   */
  public Path requireTokenizer() {
    return tokenizer.orElseThrow(
        () -> new UserException(name() + " has no tokenizer.json; name one with --tokenizer FILE"));
  }

  /** Length of the rows that it was trained with, or that it is made for, in tokens. */
  public int sequenceLength() {
    return run.map(known -> known.training().sequenceLength())
        .orElse(config.maxPositionEmbeddings());
  }

  /**
   * Opens the tokenizer.
   *
   * @throws UserException if none is known, or if it is no usable one
   */
  public Tokenizer openTokenizer() {
    Storage storage = new Storage(new Configuration());
    String path = requireTokenizer().toString();
    if (run.isPresent()) {
      return Tokenizer.load(storage, path, run.get().tokenizer().endOfDocument());
    }
    OptionalInt end = input.architecture().orElseThrow().eosTokenId();
    if (end.isEmpty()) {
      throw new UserException(name() + " names no eos_token_id, the token that ends a text");
    }
    return Tokenizer.load(storage, path, end.getAsInt());
  }

  /** Its sizes as other programs want to know them, with the token that ends a text. */
  public ModelArchitecture architecture() {
    if (run.isEmpty()) {
      return input.architecture().orElseThrow();
    }
    try (Tokenizer opened = openTokenizer()) {
      return Architectures.of(config, OptionalInt.of(opened.endOfDocument()));
    }
  }

  /**
   * Reads the weights, in fp32.
   *
   * @param manager owns them
   * @param sequenceLength longest row that will be asked about
   */
  public InferenceModel load(NDManager manager, int sequenceLength) {
    FlatLayout layout = ModelLayout.of(config).parameters();
    TensorSource checked =
        ModelTensors.of(input.tensors(), Architectures.of(config, OptionalInt.empty()));
    Tensor weights = Tensor.empty(manager, ScalarType.FLOAT32, layout.elements());
    MemorySegment target = weights.segment();
    float[] piece = new float[PIECE_ELEMENTS];
    for (FlatLayout.Entry entry : layout.entries()) {
      for (long from = 0; from < entry.elements(); from += PIECE_ELEMENTS) {
        int length = (int) Math.min(PIECE_ELEMENTS, entry.elements() - from);
        checked.read(entry.name(), from, piece, length);
        long position = (entry.offset() + from) * Float.BYTES;
        MemorySegment.copy(piece, 0, target, ValueLayout.JAVA_FLOAT, position, length);
      }
    }
    return new InferenceModel(
        manager,
        config,
        (scope, entry) -> weights.view(scope, entry.offset(), sizes(entry.shape())),
        ScalarType.FLOAT32,
        sequenceLength);
  }

  private static long[] sizes(List<Long> shape) {
    return shape.stream().mapToLong(Long::longValue).toArray();
  }

  @Override
  public void close() {
    input.close();
  }
}
