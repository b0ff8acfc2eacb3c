package org.pretrain4j.data.storage;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.configuration.UserException;

/**
 * Finds files by pattern: {@code *} and {@code ?} inside a name, {@code [abc]}, {@code {a,b}}, and
 * {@code **} for any number of folders. A plain name stands for itself, a plain folder for all
 * files below it. Names that begin with a dot or an underscore are skipped unless the pattern names
 * them.
 */
final class Glob {
  private final Storage storage;

  Glob(Storage storage) {
    this.storage = storage;
  }

  List<FileStatus> find(String pattern) throws IOException {
    List<FileStatus> found = new ArrayList<>();
    int wildcard = firstWildcard(pattern);
    if (wildcard < 0) {
      FileStatus status = storage.status(storage.path(pattern));
      if (status.isDirectory()) {
        walk(status.getPath(), "", null, false, found);
      } else {
        found.add(status);
      }
    } else {
      int slash = pattern.lastIndexOf('/', wildcard);
      String base = slash < 0 ? "." : slash == 0 ? "/" : pattern.substring(0, slash);
      String rest = pattern.substring(slash + 1);
      Path folder = storage.path(base);
      if (storage.exists(folder)) {
        boolean hidden = ("/" + rest).contains("/.") || ("/" + rest).contains("/_");
        int depthLimit = rest.contains("**") ? Integer.MAX_VALUE : depth(rest);
        walk(folder, "", new Filter(compile(pattern, rest), depthLimit), hidden, found);
      }
    }
    if (found.isEmpty()) {
      throw new UserException("no file matches '" + pattern + "'; check the path and the pattern");
    }
    found.sort(Comparator.comparing(file -> file.getPath().toString()));
    return found;
  }

  private static Pattern compile(String whole, String rest) {
    try {
      return Pattern.compile(regex(rest));
    } catch (PatternSyntaxException e) {
      throw new UserException("'" + whole + "' is not a file pattern: " + e.getDescription(), e);
    }
  }

  private record Filter(Pattern pattern, int depth) {}

  private void walk(
      Path folder, String prefix, Filter filter, boolean hidden, List<FileStatus> found)
      throws IOException {
    for (FileStatus status : storage.list(folder)) {
      String name = status.getPath().getName();
      if (!hidden && (name.startsWith(".") || name.startsWith("_"))) {
        continue;
      }
      String relative = prefix + name;
      if (status.isDirectory()) {
        if (filter == null || depth(relative) < filter.depth()) {
          walk(status.getPath(), relative + "/", filter, hidden, found);
        }
      } else if (filter == null || filter.pattern().matcher(relative).matches()) {
        found.add(status);
      }
    }
  }

  private static int depth(String relative) {
    return (int) relative.chars().filter(c -> c == '/').count() + 1;
  }

  private static int firstWildcard(String pattern) {
    for (int i = 0; i < pattern.length(); i++) {
      if ("*?[{".indexOf(pattern.charAt(i)) >= 0) {
        return i;
      }
    }
    return -1;
  }

  static String regex(String glob) {
    StringBuilder out = new StringBuilder();
    boolean alternatives = false;
    for (int i = 0; i < glob.length(); i++) {
      char c = glob.charAt(i);
      if (glob.startsWith("**/", i)) {
        out.append("(?:.*/)?");
        i += 2;
      } else if (glob.startsWith("**", i)) {
        out.append(".*");
        i += 1;
      } else if (c == '*') {
        out.append("[^/]*");
      } else if (c == '?') {
        out.append("[^/]");
      } else if (c == '[' && glob.indexOf(']', i + 2) > 0) {
        int end = glob.indexOf(']', i + 2);
        String set = glob.substring(i + 1, end).replace("\\", "\\\\").replace("[", "\\[");
        out.append('[').append(set.startsWith("!") ? "^" + set.substring(1) : set).append(']');
        i = end;
      } else if (c == '{' && glob.indexOf('}', i) > 0) {
        out.append("(?:");
        alternatives = true;
      } else if (c == '}' && alternatives) {
        out.append(')');
        alternatives = false;
      } else if (c == ',' && alternatives) {
        out.append('|');
      } else {
        out.append(Pattern.quote(String.valueOf(c)));
      }
    }
    return out.toString();
  }
}
