package org.pretrain4j.trainer.parallel.mpi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Map;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.natives.NativeCall;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/** Open MPI's libmpi: where it is found, its symbols, and what its error codes mean. */
final class MpiLibrary {
  private static final int MAX_ERROR_STRING = 256;

  private static final NativeLibrary.Search SEARCH =
      new NativeLibrary.Search(
          "Open MPI",
          "PRETRAIN4J_LIBMPI",
          List.of("libmpi.so.40", "libmpi.so", "libmpi.dylib"),
          List.of(
              "/usr/lib/x86_64-linux-gnu",
              "/usr/lib/x86_64-linux-gnu/openmpi/lib",
              "/usr/lib/aarch64-linux-gnu",
              "/usr/lib64/openmpi/lib",
              "/usr/local/lib",
              "/opt/openmpi/lib",
              "/opt/homebrew/lib"));

  private final NativeLibrary library;

  private MpiLibrary(NativeLibrary library) {
    this.library = library;
  }

  /**
   * Opens it.
   *
   * @throws UserException if there is none, or it is another MPI
   */
  static MpiLibrary open(Map<String, String> environment) {
    NativeLibrary library =
        NativeLibrary.open(SEARCH, environment, "install it (Debian: apt-get install openmpi-bin)");
    if (library.symbol("ompi_mpi_comm_world").isEmpty()) {
      throw new UserException(
          library.path()
              + " is not Open MPI: set PRETRAIN4J_LIBMPI to the file of Open MPI's libmpi");
    }
    return new MpiLibrary(library);
  }

  String path() {
    return library.path();
  }

  /** An exported object, such as a communicator. */
  MemorySegment symbol(String name) {
    return library
        .symbol(name)
        .orElseThrow(() -> new UserException(library.path() + " has no symbol " + name));
  }

  /** A function that returns an error code. */
  MethodHandle function(String name, MemoryLayout... arguments) {
    return library.function(name, JAVA_INT, arguments);
  }

  /**
   * Checks what a function returned.
   *
   * @throws MpiException if that is an error, with the library's own words
   */
  void check(String call, int code) {
    if (code == 0) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocate(MAX_ERROR_STRING);
      MemorySegment length = arena.allocate(JAVA_INT);
      MethodHandle describe = function("MPI_Error_string", JAVA_INT, ADDRESS, ADDRESS);
      NativeCall.code(() -> (int) describe.invokeExact(code, text, length));
      throw new MpiException(call + " failed: " + text.getString(0));
    }
  }
}
