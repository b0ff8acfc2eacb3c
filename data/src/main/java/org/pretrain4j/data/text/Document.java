package org.pretrain4j.data.text;

/**
 * One document of the corpus.
 *
 * @param text its text, valid Unicode
 * @param origin where it came from, for messages: a file, or file and line
 */
public record Document(String text, String origin) {}
