package org.pretrain4j.trainer.parallel.faults;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FlightRecordTest {
  @TempDir Path folder;

  @Test
  void aDamagedRecordIsLeftOutOfThoseOfAllRanks() throws IOException {
    for (int rank = 0; rank < 3; rank++) {
      new FlightRecorder(rank, 1).record().write(folder);
    }
    Path damaged = folder.resolve("rank-1.json");
    Files.writeString(damaged, Files.readString(damaged).substring(0, 20));
    assertEquals(Set.of(0, 2), FlightRecord.readAll(folder, 4).keySet());
    IOException e = assertThrows(IOException.class, () -> FlightRecord.read(folder, 1));
    assertEquals("the record of rank 1 in " + folder + " is damaged", e.getMessage());
  }
}
