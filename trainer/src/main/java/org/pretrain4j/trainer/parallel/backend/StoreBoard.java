package org.pretrain4j.trainer.parallel.backend;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.cluster.Store;
import org.pretrain4j.trainer.parallel.nccl.Board;

/** The notes of NCCL's ranks in the rendezvous. */
final class StoreBoard implements Board {
  private static final String PROGRESS = "progress/";
  private static final String FAILURE = "failure";

  private final Store store;

  StoreBoard(Store store, int rank) {
    this.store = store;
    String left = CollectiveException.Kind.LEFT.name();
    Note gone = new Note(left, List.of(rank), "rank " + rank + " died or was cut off");
    store.bequeath(FAILURE, encoded(gone));
  }

  @Override
  public void post(String key, byte[] value) {
    store.set(key, value);
  }

  @Override
  public Optional<byte[]> find(String key) {
    return store.get(key);
  }

  @Override
  public void publish(int rank, String progress) {
    store.set(PROGRESS + rank, progress.getBytes(UTF_8));
  }

  @Override
  public Map<Integer, String> progress() {
    Map<Integer, String> progress = new TreeMap<>();
    store
        .list(PROGRESS)
        .forEach(
            (key, line) ->
                progress.put(
                    Integer.parseInt(key.substring(PROGRESS.length())), new String(line, UTF_8)));
    return progress;
  }

  @Override
  public void fail(Note note) {
    store.setIfAbsent(FAILURE, encoded(note));
  }

  private static byte[] encoded(Note note) {
    List<String> lines = new ArrayList<>();
    lines.add(note.kind());
    lines.add(String.join(" ", note.culprits().stream().map(String::valueOf).toList()));
    lines.add(note.message().replace('\n', ' '));
    return String.join("\n", lines).getBytes(UTF_8);
  }

  @Override
  public Optional<Note> failure() {
    return store
        .get(FAILURE)
        .map(
            bytes -> {
              String[] lines = new String(bytes, UTF_8).split("\n", 3);
              List<Integer> culprits =
                  lines[1].isEmpty()
                      ? List.of()
                      : List.of(lines[1].split(" ")).stream().map(Integer::valueOf).toList();
              return new Note(lines[0], culprits, lines[2]);
            });
  }
}
