package org.pretrain4j.data.tokens;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.IOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.TokenizerIdentity;
import org.pretrain4j.data.storage.Storage;

/**
 * A Hugging Face {@code tokenizer.json}, run by the Rust library that comes with DJL. Any number of
 * threads may share one instance. Nothing is ever downloaded.
 *
 * <p>Tokens that are marked special never come out of {@link #encode}: text that spells one is
 * tokenized as ordinary characters, so that a corpus cannot forge the end of a document.
 */
public final class Tokenizer implements AutoCloseable {
  static {
    // On a machine with a GPU the library would look for a CUDA build on the network.
    setUnlessSet("RUST_FLAVOR", "cpu");
    setUnlessSet("ai.djl.offline", "true");
  }

  private final TokenizerFile file;
  private final String fingerprint;
  private final int endOfDocument;
  private final long handle;
  private volatile boolean closed;

  private Tokenizer(TokenizerFile file, String fingerprint, int endOfDocument, long handle) {
    this.file = file;
    this.fingerprint = fingerprint;
    this.endOfDocument = endOfDocument;
    this.handle = handle;
  }

  /**
   * @param path of a tokenizer.json, on any file system
   * @param endOfDocument the token that ends each document, for example {@code <|end_of_text|>}
   * @throws UserException if the file is missing or no tokenizer, or has no such token
   */
  public static Tokenizer load(Storage storage, String path, String endOfDocument) {
    byte[] content = read(storage, path);
    TokenizerFile file = TokenizerFile.parse(path, content);
    int id = file.id(endOfDocument);
    if (id < 0) {
      throw new UserException(
          "tokenizer '" + path + "' has no token '" + endOfDocument + "' to end documents with");
    }
    return start(path, content, file, id);
  }

  /**
   * The same for who knows the end of a document by its id.
   *
   * @throws UserException if the file is missing or no tokenizer, or if the id is none of its own
   */
  public static Tokenizer load(Storage storage, String path, int endOfDocument) {
    byte[] content = read(storage, path);
    TokenizerFile file = TokenizerFile.parse(path, content);
    if (endOfDocument < 0 || endOfDocument >= file.vocabSize()) {
      throw new UserException(
          "tokenizer '" + path + "' has no token " + endOfDocument + " to end documents with");
    }
    return start(path, content, file, endOfDocument);
  }

  private static byte[] read(Storage storage, String path) {
    try {
      return storage.read(storage.path(path));
    } catch (IOException e) {
      throw Storage.failed("read the tokenizer", storage.path(path), e);
    }
  }

  private static Tokenizer start(String path, byte[] content, TokenizerFile file, int end) {
    try {
      LibUtils.checkStatus();
      long handle = TokenizersLibrary.LIB.createTokenizerFromString(file.json());
      return new Tokenizer(file, "sha256:" + sha256(content), end, handle);
    } catch (RuntimeException e) {
      throw new UserException(
          "'" + path + "' is not a usable tokenizer.json: " + e.getMessage(), e);
    }
  }

  private static void setUnlessSet(String name, String value) {
    if (System.getenv(name) == null && System.getProperty(name) == null) {
      System.setProperty(name, value);
    }
  }

  private static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /** {@code sha256:} and the digest of the file: data made with another file is refused. */
  public String fingerprint() {
    return fingerprint;
  }

  /** Largest token id plus one: the smallest vocabulary of a model that can use this tokenizer. */
  public int vocabSize() {
    return file.vocabSize();
  }

  public int endOfDocument() {
    return endOfDocument;
  }

  /** The tokens with the end of a document behind them, unless it is there already. */
  public int[] ended(int[] tokens) {
    if (tokens.length > 0 && tokens[tokens.length - 1] == endOfDocument) {
      return tokens;
    }
    int[] ended = Arrays.copyOf(tokens, tokens.length + 1);
    ended[tokens.length] = endOfDocument;
    return ended;
  }

  /**
   * The documents that tokens are: each ends with the end-of-document token, which is added after
   * the last if it is not there.
   */
  List<int[]> documents(int[] tokens) {
    int[] ended = ended(tokens);
    List<int[]> documents = new ArrayList<>(1);
    int from = 0;
    for (int i = 0; i < ended.length - 1; i++) {
      if (ended[i] == endOfDocument) {
        documents.add(Arrays.copyOfRange(ended, from, i + 1));
        from = i + 1;
      }
    }
    documents.add(from == 0 ? ended : Arrays.copyOfRange(ended, from, ended.length));
    return documents;
  }

  public TokenizerIdentity identity() {
    return new TokenizerIdentity(fingerprint, vocabSize(), endOfDocument);
  }

  /** The id of a token by its exact spelling, or -1. */
  public int id(String token) {
    return file.id(token);
  }

  /**
   * Tokens of a text, with none added at either end. So that memory stays bounded, long texts are
   * cut at line ends before they are tokenized, if this tokenizer is known to cut there too;
   * otherwise they are tokenized whole, which takes more than a hundred bytes for each.
   */
  public int[] encode(String text) {
    return encode(text, TextPieces.MAX_LENGTH);
  }

  /**
   * @param pieceLength from which on a text is cut; the tokens do not depend on it
   */
  int[] encode(String text, int pieceLength) {
    List<String> pieces =
        file.lineEndsSeparate() ? TextPieces.split(text, pieceLength) : List.of(text);
    int[] ids = encodeAll(pieces);
    if (!file.containsSpecial(ids)) {
      return ids;
    }
    // Cutting each special spelling after its first character leaves ordinary text.
    int[] split =
        encodeAll(
            pieces.stream().flatMap(piece -> file.splitSpecialSpellings(piece).stream()).toList());
    if (file.containsSpecial(split)) {
      throw new IllegalStateException("special tokens left after splitting their spellings");
    }
    return split;
  }

  private int[] encodeAll(List<String> texts) {
    return texts.size() == 1
        ? encodeNatively(texts.getFirst())
        : concatenate(texts.stream().map(this::encodeNatively).toArray(int[][]::new));
  }

  private int[] encodeNatively(String text) {
    TokenizersLibrary library = TokenizersLibrary.LIB;
    // DJL's own encode also copies strings, offsets and masks, which costs more than the tokens.
    long encoding = library.encode(openHandle(), text, false);
    try {
      long[] ids = library.getTokenIds(encoding);
      int[] tokens = new int[ids.length];
      for (int i = 0; i < ids.length; i++) {
        tokens[i] = (int) ids[i];
      }
      return tokens;
    } finally {
      library.deleteEncoding(encoding);
    }
  }

  /** The text of tokens; special tokens are spelled out. */
  public String decode(int[] tokens) {
    return TokenizersLibrary.LIB.decode(
        openHandle(), Arrays.stream(tokens).asLongStream().toArray(), false);
  }

  private long openHandle() {
    if (closed) {
      throw new IllegalStateException("the tokenizer is closed");
    }
    return handle;
  }

  private static int[] concatenate(int[][] parts) {
    int length = 0;
    for (int[] part : parts) {
      length = Math.addExact(length, part.length);
    }
    int[] all = new int[length];
    int at = 0;
    for (int[] part : parts) {
      System.arraycopy(part, 0, all, at, part.length);
      at += part.length;
    }
    return all;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      TokenizersLibrary.LIB.deleteTokenizer(handle);
    }
  }
}
