package org.pretrain4j.data;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.DocumentCursor;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;
import org.pretrain4j.data.tokens.Tokenizer;

/**
 * The documents of a dataset one after the other, tokenized as they are read: what a model is
 * evaluated on. Nothing is written, and one document is in memory at a time.
 */
public final class HeldOutDocuments implements AutoCloseable {
  private static final long CACHE_BYTES = 16L << 20;

  private final String name;
  private final Tokenizer tokenizer;
  private final DocumentCursor shards;
  private final Iterator<DocumentInput> inputs;
  private DocumentReader reader;

  /**
   * A document.
   *
   * @param tokens with the one that ends it
   * @param bytes of its text in UTF-8
   */
  public record HeldOut(int[] tokens, long bytes) {}

  private HeldOutDocuments(
      String name, Tokenizer tokenizer, DocumentCursor shards, List<DocumentInput> inputs) {
    this.name = name;
    this.tokenizer = tokenizer;
    this.shards = shards;
    this.inputs = inputs.iterator();
  }

  /**
   * Begins at the first document.
   *
   * @param name of the dataset, for messages
   * @param seed of generated documents
   * @throws UserException if inputs are missing, or shards do not fit the tokenizer
   */
  public static HeldOutDocuments open(
      Storage storage, Tokenizer tokenizer, String name, DatasetConfig config, long seed) {
    if (config.shards().isPresent()) {
      Path folder = storage.path(config.shards().get());
      ShardedDataset dataset =
          ShardedDataset.open(storage, folder, tokenizer.identity(), new BlockCache(CACHE_BYTES));
      return new HeldOutDocuments(name, tokenizer, dataset.documents(), List.of());
    }
    try {
      return new HeldOutDocuments(name, tokenizer, null, DatasetInputs.find(storage, config, seed));
    } catch (IOException e) {
      throw failed(name, e);
    } catch (UserException e) {
      throw new UserException("dataset '" + name + "': " + e.getMessage(), e);
    }
  }

  private static UserException failed(String name, IOException e) {
    return new UserException("dataset '" + name + "' can't be read: " + e.getMessage(), e);
  }

  /**
   * Reads on.
   *
   * @return null after the last document
   * @throws UserException if the input is malformed or damaged, naming the place
   */
  public HeldOut next() {
    if (shards != null) {
      int[] tokens = shards.next();
      return tokens == null ? null : new HeldOut(tokens, textBytes(tokens));
    }
    try {
      Document document = nextDocument();
      if (document == null) {
        return null;
      }
      return document.text() == null
          ? new HeldOut(tokenizer.ended(document.tokens()), textBytes(document.tokens()))
          : new HeldOut(
              tokenizer.ended(tokenizer.encode(document.text())),
              document.text().getBytes(StandardCharsets.UTF_8).length);
    } catch (IOException e) {
      throw failed(name, e);
    }
  }

  private Document nextDocument() throws IOException {
    while (reader != null || inputs.hasNext()) {
      if (reader == null) {
        reader = inputs.next().open();
      }
      Document document = reader.next();
      if (document != null) {
        return document;
      }
      close();
    }
    return null;
  }

  private long textBytes(int[] tokens) {
    int length = tokens.length;
    if (length > 0 && tokens[length - 1] == tokenizer.endOfDocument()) {
      length--;
    }
    int[] text = Arrays.copyOf(tokens, length);
    return tokenizer.decode(text).getBytes(StandardCharsets.UTF_8).length;
  }

  /** Closes the file that is being read. */
  @Override
  public void close() {
    try {
      if (reader != null) {
        reader.close();
        reader = null;
      }
    } catch (IOException e) {
      throw failed(name, e);
    }
  }
}
