package org.pretrain4j.data.shards;

import java.util.Locale;

/** How a token is stored: two bytes where the vocabulary allows. */
enum TokenType {
  UINT16(2),
  INT32(4);

  private final int bytes;

  TokenType(int bytes) {
    this.bytes = bytes;
  }

  int bytes() {
    return bytes;
  }

  String spelled() {
    return name().toLowerCase(Locale.ROOT);
  }
}
