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
 * How far a tokenization is, kept in its folder: the finished shards and the first document that is
 * in none of them.
 *
 * @param job digest of inputs, tokenizer and options
 * @param nextInput number of the input that holds the next document
 * @param nextDocument its number in that input
 */
record TokenizeJournal(String job, List<ShardEntry> shards, int nextInput, long nextDocument) {
  private static final ObjectMapper JSON = new ObjectMapper();

  TokenizeJournal {
    shards = List.copyOf(shards);
  }

  TokenizeJournal with(ShardEntry shard, int nextInput, long nextDocument) {
    List<ShardEntry> all = new ArrayList<>(shards);
    all.add(shard);
    return new TokenizeJournal(job, all, nextInput, nextDocument);
  }

  void write(Storage storage, Path folder, WorkerFiles files) throws IOException {
    ObjectNode root = JSON.createObjectNode();
    root.put("job", job);
    root.put("next_input", nextInput);
    root.put("next_document", nextDocument);
    ArrayNode list = root.putArray("shards");
    shards.forEach(shard -> ManifestFile.write(list.addObject(), shard));
    storage.publish(new Path(folder, files.journal()), JSON.writeValueAsBytes(root));
  }

  /** The journal of this very job, or an empty one. */
  static TokenizeJournal read(
      Storage storage, Path folder, WorkerFiles files, String job, PreparationListener listener)
      throws IOException {
    TokenizeJournal empty = new TokenizeJournal(job, List.of(), 0, 0);
    Path file = new Path(folder, files.journal());
    if (!storage.exists(file)) {
      return empty;
    }
    try {
      TokenizeJournal journal = parse(JSON.readTree(storage.read(file)));
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
    } catch (IOException | IllegalArgumentException e) {
      listener.warning(
          file.toUri().getPath() + ": unreadable (" + e.getMessage() + "); starting again");
      return empty;
    }
  }

  /** The job that a journal belongs to; empty if it cannot be read. */
  static String recordedJob(Storage storage, Path journal) throws IOException {
    try {
      return JSON.readTree(storage.read(journal)).path("job").asText();
    } catch (JsonProcessingException e) {
      return "";
    }
  }

  private static TokenizeJournal parse(JsonNode root) {
    List<ShardEntry> shards = new ArrayList<>();
    for (JsonNode shard : root.path("shards")) {
      shards.add(ManifestFile.shard(shard));
    }
    return new TokenizeJournal(
        root.path("job").asText(),
        shards,
        root.path("next_input").asInt(),
        root.path("next_document").asLong());
  }
}
