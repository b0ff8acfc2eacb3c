package org.pretrain4j.data.curation;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.random.SplitMix64;
import org.pretrain4j.data.storage.FolderLock;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentFeed;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentPipeline;
import org.pretrain4j.data.tokens.PreparationListener;
import org.pretrain4j.data.tokens.ProgressMeter;

/**
 * Writes the documents that a {@link Curation} keeps as JSONL, compressed by zstd, into a folder,
 * in the order of the inputs, with a report of what was dropped and why. One pass over the inputs;
 * rules, hashes and signatures are computed in threads, decisions taken in order, so that the
 * result does not depend on the number of threads.
 *
 * <p>A killed job that is run again starts again. The report is written last: a folder whose report
 * is complete is not written again.
 */
public final class CurateJob {
  /** The report's file. */
  public static final String REPORT = "curation.json";

  /** A part ends with the document that reaches so many characters. */
  public static final long DEFAULT_PART_CHARACTERS = 1L << 28;

  private static final String PART = JsonLinesPart.PREFIX;
  private static final int BATCH_CHARACTERS = 1 << 16;

  private final Storage storage;
  private final List<DocumentInput> inputs;
  private final Path folder;
  private final Curation curation;
  private final long partCharacters;
  private final int threads;
  private final PreparationListener listener;

  /**
   * @param folder for the parts and the report, made if missing
   * @param partCharacters size of a part
   * @param threads that judge documents
   */
  public CurateJob(
      Storage storage,
      List<DocumentInput> inputs,
      Path folder,
      Curation curation,
      long partCharacters,
      int threads,
      PreparationListener listener) {
    if (partCharacters < 1 || threads < 1) {
      throw new UserException(
          partCharacters + " characters a part, " + threads + " threads; expected 1 or more");
    }
    this.storage = storage;
    this.inputs = List.copyOf(inputs);
    this.folder = folder;
    this.curation = curation;
    this.partCharacters = partCharacters;
    this.threads = threads;
    this.listener = listener;
  }

  /**
   * Runs the job; returns at once if it is complete.
   *
   * @throws UserException if an input is malformed or holds tokens, or the folder holds other files
   */
  public CurationReport run() {
    return run(this::curate);
  }

  /**
   * Like {@link #run()}, but lets another engine judge the documents and write the parts.
   *
   * @throws UserException as {@link #run()}
   */
  public CurationReport run(CurationEngine engine) {
    try (FolderLock lock = storage.lock(folder, "curate")) {
      Path reportFile = new Path(folder, REPORT);
      String job = identity();
      Optional<CurationReportFile> found = CurationReportFile.read(storage, reportFile);
      if (found.isPresent() && found.get().complete()) {
        if (!found.get().job().equals(job)) {
          throw occupied("the result of other inputs or rules");
        }
        return found.get().report();
      }
      clear(found.isPresent(), lock);
      // Says whose parts are there, should the job be killed.
      CurationReport none = new CurationReport.Builder().build();
      CurationReportFile.write(storage, reportFile, job, false, none);
      CurationReport report = engine.curate(curation, folder, partCharacters);
      CurationReportFile.write(storage, reportFile, job, true, report);
      return report;
    } catch (IOException e) {
      throw Storage.failed("write the curated text", folder, e);
    }
  }

  private String identity() {
    List<String> parts = new ArrayList<>(List.of("curate-1", curation.toString()));
    parts.add(Long.toString(partCharacters));
    inputs.forEach(input -> parts.add(input.identity()));
    return Long.toHexString(SplitMix64.key(String.join("\n", parts)));
  }

  private void clear(boolean mine, FolderLock lock) throws IOException {
    for (FileStatus file : storage.list(folder)) {
      if (file.getPath().getName().startsWith(PART)) {
        if (!mine) {
          throw occupied("files that begin with '" + PART + "'");
        }
        storage.delete(file.getPath());
      }
    }
    if (lock.exclusive()) {
      storage.deleteTemporaries(folder, PART, REPORT);
    }
  }

  private UserException occupied(String what) {
    return new UserException(
        "'"
            + folder.toUri().getPath()
            + "' already holds "
            + what
            + "; choose another folder or delete it");
  }

  private record Judged(Document document, Curation.Traits traits) {}

  private CurationReport curate(Curation curation, Path folder, long partCharacters)
      throws IOException {
    CurationReport.Builder report = new CurationReport.Builder();
    Curation.Decider decider = curation.new Decider();
    JsonLinesPart part = null;
    int parts = 0;
    try (DocumentFeed feed = new DocumentFeed(inputs, 0, 0, BATCH_CHARACTERS);
        DocumentPipeline<Judged> pipeline =
            new DocumentPipeline<>(
                feed,
                threads,
                numbered ->
                    new Judged(numbered.document(), curation.traits(numbered.document())))) {
      long totalBytes = inputs.stream().mapToLong(DocumentInput::bytes).sum();
      DocumentInput.warnOfEmpty(inputs, listener::warning);
      ProgressMeter meter = new ProgressMeter(listener, totalBytes, 0);
      for (List<Judged> batch = pipeline.next(); !batch.isEmpty(); batch = pipeline.next()) {
        for (Judged judged : batch) {
          Optional<DropReason> reason = decider.decide(judged.traits());
          report.add(judged.document(), reason);
          if (reason.isEmpty()) {
            if (part == null) {
              part = new JsonLinesPart(storage, folder, parts++);
            }
            part.add(judged.document());
            if (part.characters() >= partCharacters) {
              part.finish();
              part = null;
            }
          }
        }
        meter.report(feed.bytesRead(), false);
      }
      if (part != null) {
        part.finish();
        part = null;
      }
      meter.report(feed.bytesRead(), true);
      return report.build();
    } finally {
      if (part != null) {
        part.close();
      }
    }
  }
}
