package org.pretrain4j.data.tokens;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.storage.Storage;

/** Joins the manifests of the workers that tokenized into one folder. */
public final class ManifestMerge {
  private static final Pattern WORKER = Pattern.compile("manifest-(\\d+)-of-(\\d+)\\.json");

  private ManifestMerge() {}

  /**
   * Writes the folder's manifest.json, shards in the order of the workers.
   *
   * @throws UserException if a worker's manifest is missing, or they do not belong together
   */
  public static Manifest merge(Storage storage, Path folder) {
    try {
      TreeMap<Integer, String> manifests = new TreeMap<>();
      int workers = 0;
      for (FileStatus file : storage.list(folder)) {
        Matcher matcher = WORKER.matcher(file.getPath().getName());
        if (matcher.matches()) {
          int of = Integer.parseInt(matcher.group(2));
          if (workers != 0 && workers != of) {
            throw new UserException(
                folder.toUri().getPath()
                    + ": manifests of "
                    + workers
                    + " and of "
                    + of
                    + " workers; keep those of one job");
          }
          workers = of;
          manifests.put(Integer.parseInt(matcher.group(1)), matcher.group());
        }
      }
      if (workers == 0) {
        throw new UserException(
            folder.toUri().getPath()
                + ": no worker's manifest; run 'pretrain4j tokenize --worker i/n' first");
      }
      return join(storage, folder, manifests, workers);
    } catch (IOException e) {
      throw Storage.failed("merge the manifests in", folder, e);
    }
  }

  private static Manifest join(
      Storage storage, Path folder, TreeMap<Integer, String> manifests, int workers)
      throws IOException {
    List<ShardEntry> shards = new ArrayList<>();
    Manifest first = null;
    String job = null;
    Map<String, Long> sizes = new HashMap<>();
    for (FileStatus file : storage.list(folder)) {
      sizes.put(file.getPath().getName(), file.getLen());
    }
    for (int worker = 0; worker < workers; worker++) {
      if (!manifests.containsKey(worker)) {
        throw new UserException(
            folder.toUri().getPath()
                + ": worker "
                + worker
                + "/"
                + workers
                + " has not finished: its manifest is missing");
      }
      Manifest manifest = ManifestFile.read(storage, new Path(folder, manifests.get(worker)));
      first = first == null ? manifest : first;
      if (!manifest.tokenizer().equals(first.tokenizer())) {
        throw new UserException(
            folder.toUri().getPath()
                + ": worker "
                + worker
                + " used another tokenizer than worker 0; tokenize again");
      }
      String workersJob = jobOf(storage, folder, new WorkerFiles(worker, workers));
      job = job == null ? workersJob : job;
      if (!workersJob.equals(job)) {
        throw new UserException(
            folder.toUri().getPath()
                + ": worker "
                + worker
                + " found other inputs or had other options than worker 0, so that documents would"
                + " be missing or twice; delete its manifest and run it again");
      }
      for (ShardEntry shard : manifest.shards()) {
        Long bytes = sizes.get(shard.name());
        if (bytes == null || bytes != shard.bytes()) {
          throw new UserException(
              new Path(folder, shard.name()).toUri().getPath()
                  + (bytes == null ? ": is missing" : ": has " + bytes + " bytes")
                  + ", but worker "
                  + worker
                  + " wrote "
                  + shard.bytes()
                  + " bytes; restore it, or delete the worker's manifest and run it again");
        }
      }
      shards.addAll(manifest.shards());
    }
    Manifest merged = new Manifest(first.tokenizer(), shards);
    Path target = new Path(folder, Manifest.FILE);
    if (sizes.containsKey(Manifest.FILE)
        && !ManifestFile.read(storage, target).checksum().equals(merged.checksum())) {
      throw new UserException(
          target.toUri().getPath()
              + ": is the manifest of another dataset; choose another folder or delete it");
    }
    ManifestFile.write(storage, target, merged);
    return merged;
  }

  private static String jobOf(Storage storage, Path folder, WorkerFiles files) throws IOException {
    String job = JobJournal.recordedJob(storage, new Path(folder, files.journal()));
    if (job.isEmpty()) {
      throw new UserException(
          new Path(folder, files.journal()).toUri().getPath()
              + ": does not say which job it belongs to; delete the worker's manifest and run it"
              + " again");
    }
    return JobIdentity.sharedPart(job);
  }
}
