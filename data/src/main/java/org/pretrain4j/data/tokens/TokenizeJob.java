package org.pretrain4j.data.tokens;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.ShardWriter;
import org.pretrain4j.data.storage.FolderLock;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentFeed;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentPipeline;

/**
 * Tokenizes documents into a dataset folder. The shards depend on inputs, tokenizer and options,
 * not on the number of threads nor on interruptions: a killed job that is run again goes on after
 * its last finished shard and ends with the same bytes. Memory is bounded by the text in flight.
 */
public final class TokenizeJob {
  private static final int BATCH_CHARACTERS = 1 << 16;

  private final Storage storage;
  private final Tokenizer tokenizer;
  private final List<DocumentInput> inputs;
  private final String identity;
  private final Path folder;
  private final TokenizeOptions options;
  private final PreparationListener listener;
  private final WorkerFiles files;

  /**
   * @param inputs of all workers; this one takes its part
   * @param folder of the dataset, made if missing
   */
  public TokenizeJob(
      Storage storage,
      Tokenizer tokenizer,
      List<DocumentInput> inputs,
      Path folder,
      TokenizeOptions options,
      PreparationListener listener) {
    this.storage = storage;
    this.tokenizer = tokenizer;
    this.inputs = ownInputs(inputs, options);
    this.identity = JobIdentity.of(inputs, this.inputs, tokenizer, options);
    this.folder = folder;
    this.options = options;
    this.listener = listener;
    this.files = new WorkerFiles(options.worker(), options.workers());
  }

  private static List<DocumentInput> ownInputs(
      List<DocumentInput> inputs, TokenizeOptions options) {
    List<DocumentInput> own = new ArrayList<>();
    for (int i = options.worker(); i < inputs.size(); i += options.workers()) {
      own.add(inputs.get(i));
    }
    if (own.isEmpty()) {
      throw new UserException(
          "worker "
              + options.worker()
              + "/"
              + options.workers()
              + " has nothing to do: there are "
              + inputs.size()
              + " input files; use at most as many workers");
    }
    return own;
  }

  /**
   * Runs the job, or what is left of it; returns at once if it is complete.
   *
   * @return the dataset's manifest, or this worker's if there are several
   * @throws UserException if an input is malformed, there is no text, or writing fails
   */
  public Manifest run() {
    Path manifest = new Path(folder, files.manifest());
    try (FolderLock lock = storage.lock(folder, files.prefix() + "tokenize")) {
      if (storage.exists(manifest)) {
        if (!isResult()) {
          throw new UserException(
              "'"
                  + folder.toUri().getPath()
                  + "' already holds a dataset made from other inputs or options; choose another"
                  + " folder or delete it");
        }
        return ManifestFile.read(storage, manifest);
      }
      if (lock.exclusive()) {
        storage.deleteTemporaries(folder, files.prefix(), files.journal(), files.manifest());
      }
      JobJournal done =
          tokenize(JobJournal.read(storage, folder, files.journal(), identity, listener));
      Manifest result = new Manifest(tokenizer.identity(), done.shards());
      ManifestFile.write(storage, manifest, result);
      return result;
    } catch (IOException e) {
      throw Storage.failed("write the dataset", folder, e);
    }
  }

  /** True if the folder's dataset came from this very job: the same inputs and options. */
  public boolean isResult() throws IOException {
    Path journal = new Path(folder, files.journal());
    return storage.exists(journal) && identity.equals(JobJournal.recordedJob(storage, journal));
  }

  private JobJournal tokenize(JobJournal journal) throws IOException {
    JobJournal state = journal;
    ShardWriter writer = null;
    try (DocumentFeed feed =
            new DocumentFeed(inputs, state.nextInput(), state.nextDocument(), BATCH_CHARACTERS);
        DocumentPipeline<EncodedDocument> pipeline =
            new DocumentPipeline<>(feed, options.threads(), this::encode)) {
      long totalBytes = inputs.stream().mapToLong(DocumentInput::bytes).sum();
      DocumentInput.warnOfEmpty(inputs, listener::warning);
      ProgressMeter meter = new ProgressMeter(listener, totalBytes, feed.skippedBytes());
      for (List<EncodedDocument> documents = pipeline.next();
          !documents.isEmpty();
          documents = pipeline.next()) {
        for (EncodedDocument document : documents) {
          if (writer == null) {
            Path shard = new Path(folder, files.shard(state.shards().size()));
            writer = new ShardWriter(storage, shard, tokenizer.identity(), options.blockTokens());
          }
          for (int[] tokens : document.tokens()) {
            writer.add(tokens);
            meter.wrote(tokens.length);
          }
          if (writer.tokens() >= options.shardTokens()) {
            state = state.with(writer.finish(), document.input(), document.document() + 1);
            writer.close();
            writer = null;
            state.write(storage, folder, files.journal());
          }
        }
        meter.report(feed.bytesRead(), false);
      }
      if (writer != null) {
        state = state.with(writer.finish(), inputs.size(), 0);
        state.write(storage, folder, files.journal());
      }
      meter.report(feed.bytesRead(), true);
    } finally {
      if (writer != null) {
        writer.close();
      }
    }
    if (state.shards().isEmpty()) {
      throw new UserException(
          "no text in "
              + inputs.getFirst().name()
              + (inputs.size() > 1 ? " and " + (inputs.size() - 1) + " more files" : "")
              + ": all are empty");
    }
    return state;
  }

  /**
   * @param tokens one document, or several where tokens that were given end one in their midst
   */
  private record EncodedDocument(List<int[]> tokens, int input, long document) {}

  private EncodedDocument encode(DocumentFeed.Numbered numbered) {
    Document document = numbered.document();
    int[] ids = document.text() == null ? checked(document) : tokenizer.encode(document.text());
    return new EncodedDocument(tokenizer.documents(ids), numbered.input(), numbered.number());
  }

  private int[] checked(Document document) {
    for (int token : document.tokens()) {
      if (token < 0 || token >= tokenizer.vocabSize()) {
        throw new UserException(
            document.origin()
                + ": token "
                + token
                + " is outside of the tokenizer's vocabulary of "
                + tokenizer.vocabSize()
                + "; name the tokenizer that made this file");
      }
    }
    return document.tokens();
  }
}
