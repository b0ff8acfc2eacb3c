package org.pretrain4j.launch;

import java.util.ArrayList;
import java.util.List;

/** Rows of texts under each other; a column whose heading begins with a blank is aligned right. */
final class TextTable {
  private final List<List<String>> rows = new ArrayList<>();
  private final List<Boolean> right;

  TextTable(String... headings) {
    right = List.of(headings).stream().map(heading -> heading.startsWith(" ")).toList();
    rows.add(List.of(headings).stream().map(String::strip).toList());
  }

  void add(String... cells) {
    rows.add(List.of(cells));
  }

  /** The lines, headings first. */
  List<String> lines() {
    List<String> lines = new ArrayList<>();
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int column = 0; column < row.size(); column++) {
        String cell = row.get(column);
        String blanks = " ".repeat(width(column) - cell.length());
        line.append(column == 0 ? "" : "  ");
        line.append(right.get(column) ? blanks + cell : cell + blanks);
      }
      lines.add(line.toString().stripTrailing());
    }
    return lines;
  }

  private int width(int column) {
    return rows.stream().mapToInt(row -> row.get(column).length()).max().orElse(0);
  }
}
