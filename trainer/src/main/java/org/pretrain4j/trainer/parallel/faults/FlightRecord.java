package org.pretrain4j.trainer.parallel.faults;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Where one rank is.
 *
 * @param rank whose record it is
 * @param attempt which start of the run, from 1
 * @param pid of the process
 * @param step that the rank works on; -1 before the first
 * @param phase of the step, such as {@code forward}
 * @param collectives number of collectives begun
 * @param collective the last of them, with its size
 * @param waiting whether the rank waits for that collective right now
 * @param sinceMillis when the rank came to where it is, in milliseconds since 1970
 * @param beatMillis when this record was written, likewise
 */
public record FlightRecord(
    int rank,
    int attempt,
    long pid,
    long step,
    String phase,
    long collectives,
    String collective,
    boolean waiting,
    long sinceMillis,
    long beatMillis) {

  private static final Logger LOG = LogManager.getLogger();
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String PREFIX = "rank-";
  private static final String SUFFIX = ".json";

  /** Writes it to {@code rank-<rank>.json}, so that a reader sees a whole one or the one before. */
  public void write(Path folder) throws IOException {
    Path file = folder.resolve(PREFIX + rank + SUFFIX);
    Path temporary = folder.resolve(PREFIX + rank + ".part");
    Files.writeString(temporary, JSON.writeValueAsString(this));
    Files.move(
        temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** The record of a rank, if it has written one. */
  public static Optional<FlightRecord> read(Path folder, int rank) throws IOException {
    try {
      String text = Files.readString(folder.resolve(PREFIX + rank + SUFFIX));
      return Optional.of(JSON.readValue(text, FlightRecord.class));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (JsonProcessingException e) {
      throw new IOException("the record of rank " + rank + " in " + folder + " is damaged", e);
    }
  }

  /** The records of all ranks that have written one; one that can't be read counts as none. */
  public static Map<Integer, FlightRecord> readAll(Path folder, int worldSize) {
    Map<Integer, FlightRecord> records = new TreeMap<>();
    for (int rank = 0; rank < worldSize; rank++) {
      try {
        Optional<FlightRecord> record = read(folder, rank);
        if (record.isPresent()) {
          records.put(rank, record.get());
        }
      } catch (IOException e) {
        // Whoever reads keeps the ranks alive, and must not die of what one of them wrote.
        LOG.debug("a record is left out", e);
      }
    }
    return records;
  }

  /** Removes the records of an earlier attempt. */
  static void clear(Path folder, int worldSize) throws IOException {
    Files.createDirectories(folder);
    for (int rank = 0; rank < worldSize; rank++) {
      Files.deleteIfExists(folder.resolve(PREFIX + rank + SUFFIX));
    }
  }

  /** Such as {@code step 12, forward, 57 collectives begun, last allReduce(...)}. */
  public String where() {
    String where = step < 0 ? phase : "step " + step + ", " + phase;
    String last = collectives == 0 ? "no collective begun" : collectives + " collectives begun";
    return waiting
        ? "%s, waiting in collective #%d %s".formatted(where, collectives - 1, collective)
        : "%s, %s%s".formatted(where, last, collectives == 0 ? "" : ", last " + collective);
  }
}
