package org.pretrain4j.spark;

import java.io.IOException;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;
import org.apache.spark.TaskContext;
import org.apache.spark.util.TaskCompletionListener;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.curation.Curation;
import org.pretrain4j.data.curation.NearDuplicates;
import org.pretrain4j.data.curation.Sketcher;
import org.pretrain4j.data.text.Document;
import org.pretrain4j.data.text.DocumentInput;
import org.pretrain4j.data.text.DocumentReader;

/** Reads an input inside of a task, which closes it. */
final class TraitsReader implements Iterator<DocumentTraits> {
  private final DocumentInput input;
  private final int inputNumber;
  private final Curation curation;
  private final Optional<Sketcher> sketcher;
  private final DocumentReader reader;
  private int number;
  private Document ahead;

  /**
   * @param inputNumber of the input in its corpus
   * @throws UserException if it is malformed or cannot be read
   */
  TraitsReader(DocumentInput input, int inputNumber, Curation curation) {
    this.input = input;
    this.inputNumber = inputNumber;
    this.curation = curation;
    this.sketcher = curation.near().map(NearDuplicates::sketcher);
    try {
      this.reader = input.open();
    } catch (IOException e) {
      throw unreadable(e);
    }
    TaskCompletionListener close = context -> close();
    TaskContext.get().addTaskCompletionListener(close);
    advance();
  }

  private void advance() {
    try {
      ahead = reader.next();
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  @Override
  public boolean hasNext() {
    return ahead != null;
  }

  @Override
  public DocumentTraits next() {
    if (ahead == null) {
      throw new NoSuchElementException();
    }
    DocumentTraits traits =
        DocumentTraits.of(DocumentPlace.of(inputNumber, number), ahead, curation, sketcher);
    number = Math.incrementExact(number);
    advance();
    return traits;
  }

  private void close() {
    try {
      reader.close();
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  private UserException unreadable(IOException e) {
    return new UserException(input.name() + ": cannot be read: " + e.getMessage(), e);
  }
}
