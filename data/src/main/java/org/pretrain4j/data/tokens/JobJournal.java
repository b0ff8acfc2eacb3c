package org.pretrain4j.data.tokens;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.data.shards.ManifestFile;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.storage.Storage;

/**
 * How far a preparation job is, kept in its folder: the finished shards and what comes next.
 *
 * @param job digest of everything that decides the result
 * @param nextInput number of the input that comes next
 * @param nextDocument number of the document in it that comes next
 */
public record JobJournal(String job, List<ShardEntry> shards, int nextInput, long nextDocument) {
  private static final ObjectMapper JSON = new ObjectMapper();

  public JobJournal {
    shards = List.copyOf(shards);
  }

  public JobJournal with(ShardEntry shard, int nextInput, long nextDocument) {
    List<ShardEntry> all = new ArrayList<>(shards);
    all.add(shard);
    return new JobJournal(job, all, nextInput, nextDocument);
  }

  public void write(Storage storage, Path folder, String name) throws IOException {
    ObjectNode root = JSON.createObjectNode();
    root.put("job", job);
    root.put("next_input", nextInput);
    root.put("next_document", nextDocument);
    ArrayNode list = root.putArray("shards");
    shards.forEach(shard -> ManifestFile.write(list.addObject(), shard));
    storage.publish(new Path(folder, name), JSON.writeValueAsBytes(root));
  }

  /** The journal of this very job, or an empty one. */
  public static JobJournal read(
      Storage storage, Path folder, String name, String job, PreparationListener listener)
      throws IOException {
    JobJournal empty = new JobJournal(job, List.of(), 0, 0);
    Path file = new Path(folder, name);
    if (!storage.exists(file)) {
      return empty;
    }
    try {
      JobJournal journal = parse(JSON.readTree(storage.read(file)));
      if (!journal.job().equals(job)) {
        listener.warning(
            file.toUri().getPath() + ": unfinished work on other inputs or options is discarded");
        return empty;
      }
      for (ShardEntry shard : journal.shards()) {
        Path path = new Path(folder, shard.name());
        if (!storage.exists(path) || storage.status(path).getLen() != shard.bytes()) {
          listener.warning(path.toUri().getPath() + ": lost since it was written; starting again");
          return empty;
        }
      }
      return journal;
    } catch (JsonProcessingException | IllegalArgumentException e) {
      // Only of a damaged journal: a storage that does not answer must not cost what is done.
      listener.warning(
          file.toUri().getPath() + ": unreadable (" + e.getMessage() + "); starting again");
      return empty;
    }
  }

  /** The job that a journal belongs to; empty if it cannot be read. */
  public static String recordedJob(Storage storage, Path journal) throws IOException {
    try {
      return JSON.readTree(storage.read(journal)).path("job").asText();
    } catch (JsonProcessingException e) {
      return "";
    }
  }

  private static JobJournal parse(JsonNode root) {
    List<ShardEntry> shards = new ArrayList<>();
    for (JsonNode shard : root.path("shards")) {
      shards.add(ManifestFile.shard(shard));
    }
    return new JobJournal(
        root.path("job").asText(),
        shards,
        root.path("next_input").asInt(),
        root.path("next_document").asLong());
  }
}
