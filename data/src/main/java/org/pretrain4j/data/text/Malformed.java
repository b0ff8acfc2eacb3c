package org.pretrain4j.data.text;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import org.pretrain4j.configuration.UserException;

/** Strict UTF-8 and the messages about malformed input. */
final class Malformed {
  private Malformed() {}

  /**
   * Decodes bytes that must be UTF-8.
   *
   * @param place names where these bytes begin: a file, or file and line
   * @param fileOffset offset of the first of these bytes in the (decompressed) file
   * @throws UserException naming the place and the offset of the first malformed byte
   */
  static String decodeUtf8(byte[] bytes, int length, String place, long fileOffset) {
    CharsetDecoder decoder =
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT);
    ByteBuffer in = ByteBuffer.wrap(bytes, 0, length);
    CharBuffer out = CharBuffer.allocate(length);
    CoderResult result = decoder.decode(in, out, true);
    if (result.isError()) {
      throw new UserException(
          place
              + ": not UTF-8 at byte "
              + (fileOffset + in.position())
              + " (0x"
              + Integer.toHexString(in.get(in.position()) & 0xff)
              + "); convert the file to UTF-8 or leave it out");
    }
    return out.flip().toString();
  }

  static UserException unreadable(String name, IOException e) {
    String reason =
        e instanceof EOFException
            ? "the file ends too early (truncated?)"
            : String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    return new UserException(
        name + ": cannot be read: " + reason + "; replace the file or leave it out", e);
  }

  static UserException tooLong(String place, long limitBytes) {
    return new UserException(
        place
            + ": a document of more than "
            + limitBytes
            + " bytes; split it into several documents");
  }
}
