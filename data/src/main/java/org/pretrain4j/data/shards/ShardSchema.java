package org.pretrain4j.data.shards;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.arrow.vector.types.pojo.ArrowType;
import org.apache.arrow.vector.types.pojo.Field;
import org.apache.arrow.vector.types.pojo.FieldType;
import org.apache.arrow.vector.types.pojo.Schema;

/** The Arrow schema of a shard: {@code tokens: list<uint16 or int32>}, no nulls. */
final class ShardSchema {
  static final String COLUMN = "tokens";
  static final String FINGERPRINT_KEY = "pretrain4j.tokenizer";
  static final String END_OF_DOCUMENT_KEY = "pretrain4j.end_of_document";

  private ShardSchema() {}

  static Schema of(TokenizerIdentity tokenizer) {
    ArrowType token =
        tokenizer.tokenType() == TokenType.UINT16
            ? new ArrowType.Int(16, false)
            : new ArrowType.Int(32, true);
    Field item = new Field("item", new FieldType(false, token, null), null);
    Field tokens =
        new Field(COLUMN, new FieldType(false, ArrowType.List.INSTANCE, null), List.of(item));
    // Map.of has another order in each JVM, which would show in the bytes of the file.
    Map<String, String> metadata = new TreeMap<>();
    metadata.put(FINGERPRINT_KEY, tokenizer.fingerprint());
    metadata.put(END_OF_DOCUMENT_KEY, Integer.toString(tokenizer.endOfDocument()));
    return new Schema(List.of(tokens), metadata);
  }
}
