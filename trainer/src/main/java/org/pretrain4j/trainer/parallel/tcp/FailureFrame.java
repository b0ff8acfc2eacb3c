package org.pretrain4j.trainer.parallel.tcp;

import java.util.List;
import java.util.stream.Collectors;
import org.pretrain4j.trainer.parallel.CollectiveException;
import org.pretrain4j.trainer.parallel.GroupFailure;

/** A failure as the text of a frame: its kind, the culprits and the message, a line each. */
final class FailureFrame {
  private FailureFrame() {}

  static Frame of(GroupFailure failure, long begun) {
    String culprits =
        failure.culprits().stream().map(String::valueOf).collect(Collectors.joining(" "));
    String text = failure.kind() + "\n" + culprits + "\n" + failure.message();
    return new Frame(Frame.Kind.ABORT, begun, 0, 0, text);
  }

  static GroupFailure read(Frame frame) {
    String[] lines = frame.text().split("\n", 3);
    List<Integer> culprits =
        lines[1].isEmpty()
            ? List.of()
            : List.of(lines[1].split(" ")).stream().map(Integer::valueOf).toList();
    return new GroupFailure(CollectiveException.Kind.valueOf(lines[0]), culprits, lines[2]);
  }
}
