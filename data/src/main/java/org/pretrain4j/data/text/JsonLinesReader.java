package org.pretrain4j.data.text;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import org.pretrain4j.configuration.UserException;

/** One JSON object a line; blank lines and empty texts are no documents. */
final class JsonLinesReader implements DocumentReader {
  private static final int LIMIT_BYTES = WholeFileReader.LIMIT_BYTES;
  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder().maxStringLength(LIMIT_BYTES).build())
          .build();

  private final String name;
  private final InputStream content;
  private final CountingStream counted;
  private final String textColumn;

  private final byte[] chunk = new byte[1 << 16];
  private int chunkPosition;
  private int chunkLength;
  private byte[] line = new byte[1 << 14];
  private int lineLength;
  private long lineNumber;
  private long lineOffset;
  private long nextOffset;

  JsonLinesReader(String name, InputStream content, CountingStream counted, String textColumn) {
    this.name = name;
    this.content = content;
    this.counted = counted;
    this.textColumn = textColumn;
  }

  @Override
  public Document next() {
    while (readLine()) {
      String place = name + ":" + lineNumber;
      String json = Malformed.decodeUtf8(line, lineLength, place, lineOffset);
      if (json.isBlank()) {
        continue;
      }
      String text = textOf(json, place);
      if (!text.isEmpty()) {
        return new Document(text, place);
      }
    }
    return null;
  }

  private boolean readLine() {
    lineLength = 0;
    lineOffset = nextOffset;
    lineNumber++;
    try {
      while (true) {
        if (chunkPosition == chunkLength) {
          chunkPosition = 0;
          chunkLength = Math.max(content.read(chunk, 0, chunk.length), 0);
          if (chunkLength == 0) {
            return lineLength > 0;
          }
        }
        int end = chunkPosition;
        while (end < chunkLength && chunk[end] != '\n') {
          end++;
        }
        append(end - chunkPosition);
        chunkPosition = end;
        if (end < chunkLength) {
          chunkPosition++;
          nextOffset = lineOffset + lineLength + 1;
          return true;
        }
      }
    } catch (IOException e) {
      throw Malformed.unreadable(name + ":" + lineNumber, e);
    }
  }

  private void append(int length) {
    if (lineLength + (long) length > LIMIT_BYTES) {
      throw Malformed.tooLong(name + ":" + lineNumber, LIMIT_BYTES);
    }
    if (lineLength + length > line.length) {
      line = Arrays.copyOf(line, (int) Math.min(2L * (lineLength + length), LIMIT_BYTES));
    }
    System.arraycopy(chunk, chunkPosition, line, lineLength, length);
    lineLength += length;
  }

  private String textOf(String json, String place) {
    String text = null;
    try (JsonParser parser = JSON.createParser(json)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new UserException(place + ": expected a JSON object on each line");
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String field = parser.currentName();
        JsonToken value = parser.nextToken();
        if (field.equals(textColumn)) {
          if (value != JsonToken.VALUE_STRING) {
            throw new UserException(
                place + ": field '" + textColumn + "' is not a string; choose the text field");
          }
          text = parser.getText();
        } else {
          parser.skipChildren();
        }
      }
      if (parser.nextToken() != null) {
        throw new UserException(place + ": more than one JSON value on a line");
      }
    } catch (JsonProcessingException e) {
      throw new UserException(
          place + ": not JSON: " + e.getOriginalMessage().lines().findFirst().orElse(""), e);
    } catch (IOException e) {
      throw Malformed.unreadable(place, e);
    }
    if (text == null) {
      throw new UserException(
          place + ": no field '" + textColumn + "'; name the field that holds the text");
    }
    checkSurrogates(text, place);
    return text;
  }

  /** JSON escapes can spell half a character, which has no UTF-8 and would reach no tokenizer. */
  private static void checkSurrogates(String text, String place) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isHighSurrogate(c)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else if (Character.isSurrogate(c)) {
        throw new UserException(
            place + ": an unpaired surrogate \\u" + Integer.toHexString(c) + " is no character");
      }
    }
  }

  @Override
  public long bytesRead() {
    return counted.count();
  }

  @Override
  public void close() throws IOException {
    content.close();
  }
}
