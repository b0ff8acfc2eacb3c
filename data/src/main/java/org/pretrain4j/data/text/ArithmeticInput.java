package org.pretrain4j.data.text;

import org.pretrain4j.configuration.UserException;

/**
 * Generated arithmetic and algebra with worked steps; about 170 bytes a document. Document i
 * depends on the seed and i alone.
 */
public record ArithmeticInput(long documents, long seed) implements DocumentInput {
  // Bump when the generated text changes: prepared data is known by it.
  private static final int VERSION = 1;
  private static final int TYPICAL_BYTES = 170;

  public ArithmeticInput {
    if (documents < 1) {
      throw new UserException("documents: " + documents + " is too few; expected 1 or more");
    }
  }

  @Override
  public String name() {
    return "synthetic:arithmetic";
  }

  @Override
  public long bytes() {
    return documents * TYPICAL_BYTES;
  }

  @Override
  public String identity() {
    return name() + "|" + VERSION + "|" + documents + "|" + seed;
  }

  @Override
  public DocumentReader open() {
    return new DocumentReader() {
      private long index;
      private long bytes;

      @Override
      public Document next() {
        if (index == documents) {
          return null;
        }
        String text = ArithmeticProblem.write(seed, index);
        bytes += text.length();
        return new Document(text, name() + "#" + index++);
      }

      @Override
      public long bytesRead() {
        return bytes;
      }

      @Override
      public void close() {}
    };
  }
}
