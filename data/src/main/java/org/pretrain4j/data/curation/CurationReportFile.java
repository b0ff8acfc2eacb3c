package org.pretrain4j.data.curation;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.util.Optional;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.storage.Storage;

/**
 * A report on disk.
 *
 * @param job stands for the inputs and the rules
 * @param complete false while the job runs
 */
record CurationReportFile(String job, boolean complete, CurationReport report) {
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .build();

  static void write(Storage storage, Path file, String job, boolean complete, CurationReport report)
      throws IOException {
    storage.publish(file, JSON.writeValueAsBytes(new CurationReportFile(job, complete, report)));
  }

  static Optional<CurationReportFile> read(Storage storage, Path file) throws IOException {
    if (!storage.exists(file)) {
      return Optional.empty();
    }
    try {
      return Optional.of(JSON.readValue(storage.read(file), CurationReportFile.class));
    } catch (JsonProcessingException e) {
      throw new UserException(
          file.toUri().getPath() + ": is damaged or no report of a curation; delete it", e);
    }
  }
}
