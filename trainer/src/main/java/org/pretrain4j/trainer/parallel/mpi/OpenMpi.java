package org.pretrain4j.trainer.parallel.mpi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.natives.NativeCall;

/**
 * The functions of Open MPI's libmpi that are used here, typed. Its handles are pointers to
 * exported objects, such as {@code ompi_mpi_comm_world}. Not thread-safe: {@link MpiCollectives}
 * lets one thread in at a time.
 */
final class OpenMpi {
  /** Buffer argument that says: my part lies in the other buffer already. */
  static final MemorySegment IN_PLACE = MemorySegment.ofAddress(1);

  static final int ANY_SOURCE = -1;

  private static final MemorySegment STATUS_IGNORE = MemorySegment.NULL;
  private static final int THREAD_SERIALIZED = 2;
  private static final int THREAD_MULTIPLE = 3;

  private final MpiLibrary library;
  private final MemorySegment bytes;
  private final MemorySegment cell = Arena.ofAuto().allocate(64, 8);
  private final MethodHandle test;
  private final MethodHandle ialltoall;
  private final MethodHandle ialltoallv;
  private final MethodHandle iallgather;
  private final MethodHandle iallgatherv;
  private final MethodHandle ibcast;
  private final MethodHandle ibarrier;
  private final MethodHandle isend;
  private final MethodHandle irecv;

  private OpenMpi(MpiLibrary library) {
    this.library = library;
    bytes = symbol("ompi_mpi_byte");
    test = function("MPI_Test", ADDRESS, ADDRESS, ADDRESS);
    ialltoall =
        function(
            "MPI_Ialltoall",
            ADDRESS,
            JAVA_INT,
            ADDRESS,
            ADDRESS,
            JAVA_INT,
            ADDRESS,
            ADDRESS,
            ADDRESS);
    ialltoallv =
        function(
            "MPI_Ialltoallv",
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS);
    iallgather =
        function(
            "MPI_Iallgather",
            ADDRESS,
            JAVA_INT,
            ADDRESS,
            ADDRESS,
            JAVA_INT,
            ADDRESS,
            ADDRESS,
            ADDRESS);
    iallgatherv =
        function(
            "MPI_Iallgatherv",
            ADDRESS,
            JAVA_INT,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS);
    ibcast = function("MPI_Ibcast", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, ADDRESS);
    ibarrier = function("MPI_Ibarrier", ADDRESS, ADDRESS);
    isend = function("MPI_Isend", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS);
    irecv = function("MPI_Irecv", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS);
  }

  /**
   * Opens libmpi; doesn't initialise it.
   *
   * @throws UserException if there is none, or it is another MPI
   */
  static OpenMpi open(Map<String, String> environment) {
    return new OpenMpi(MpiLibrary.open(environment));
  }

  private MethodHandle function(String name, MemoryLayout... arguments) {
    return library.function(name, arguments);
  }

  MemorySegment symbol(String name) {
    return library.symbol(name);
  }

  String libraryPath() {
    return library.path();
  }

  /**
   * Joins the world that mpirun or srun made, and lets errors be returned instead of ending all.
   */
  void initialize() {
    try {
      MethodHandle initialized = function("MPI_Initialized", ADDRESS);
      library.check("MPI_Initialized", (int) initialized.invokeExact(cell));
      if (cell.get(JAVA_INT, 0) != 0) {
        throw new IllegalStateException("MPI is already initialised in this process");
      }
      MethodHandle init = function("MPI_Init_thread", ADDRESS, ADDRESS, JAVA_INT, ADDRESS);
      library.check(
          "MPI_Init_thread",
          (int) init.invokeExact(MemorySegment.NULL, MemorySegment.NULL, THREAD_MULTIPLE, cell));
      int provided = cell.get(JAVA_INT, 0);
      if (provided < THREAD_SERIALIZED) {
        throw new UserException(
            library.path()
                + " grants thread level "
                + provided
                + ", at least 2 (MPI_THREAD_SERIALIZED) is needed: use an Open MPI built with"
                + " threads");
      }
      MethodHandle handler = function("MPI_Comm_set_errhandler", ADDRESS, ADDRESS);
      library.check(
          "MPI_Comm_set_errhandler",
          (int) handler.invokeExact(world(), symbol("ompi_mpi_errors_return")));
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  MemorySegment world() {
    return symbol("ompi_mpi_comm_world");
  }

  /** A communicator of the same ranks, whose traffic keeps apart. */
  MemorySegment duplicate(MemorySegment communicator) {
    call(
        "MPI_Comm_dup",
        () -> (int) function("MPI_Comm_dup", ADDRESS, ADDRESS).invokeExact(communicator, cell));
    return cell.get(ADDRESS, 0);
  }

  int rank() {
    return query("MPI_Comm_rank");
  }

  int size() {
    return query("MPI_Comm_size");
  }

  private int query(String name) {
    call(name, () -> (int) function(name, ADDRESS, ADDRESS).invokeExact(world(), cell));
    return cell.get(JAVA_INT, 0);
  }

  void finish() {
    call("MPI_Finalize", () -> (int) function("MPI_Finalize").invokeExact());
  }

  /** Drives all transfers on; whether this one is complete. */
  boolean test(MemorySegment request) {
    call("MPI_Test", () -> (int) test.invokeExact(request, cell, STATUS_IGNORE));
    return cell.get(JAVA_INT, 0) != 0;
  }

  void allToAll(
      MemorySegment send,
      MemorySegment receive,
      int count,
      MemorySegment type,
      MemorySegment communicator,
      MemorySegment request) {
    call(
        "MPI_Ialltoall",
        () ->
            (int)
                ialltoall.invokeExact(
                    send, count, type, receive, count, type, communicator, request));
  }

  void allToAll(
      MemorySegment send,
      MemorySegment sendCounts,
      MemorySegment sendOffsets,
      MemorySegment receive,
      MemorySegment receiveCounts,
      MemorySegment receiveOffsets,
      MemorySegment type,
      MemorySegment communicator,
      MemorySegment request) {
    call(
        "MPI_Ialltoallv",
        () ->
            (int)
                ialltoallv.invokeExact(
                    send,
                    sendCounts,
                    sendOffsets,
                    type,
                    receive,
                    receiveCounts,
                    receiveOffsets,
                    type,
                    communicator,
                    request));
  }

  void allGather(
      MemorySegment send,
      MemorySegment receive,
      int count,
      MemorySegment type,
      MemorySegment communicator,
      MemorySegment request) {
    call(
        "MPI_Iallgather",
        () ->
            (int)
                iallgather.invokeExact(
                    send, count, type, receive, count, type, communicator, request));
  }

  /** This rank's part lies in the buffer already. */
  void allGatherInPlace(
      MemorySegment buffer,
      MemorySegment counts,
      MemorySegment offsets,
      MemorySegment type,
      MemorySegment communicator,
      MemorySegment request) {
    call(
        "MPI_Iallgatherv",
        () ->
            (int)
                iallgatherv.invokeExact(
                    IN_PLACE, 0, type, buffer, counts, offsets, type, communicator, request));
  }

  void broadcast(
      MemorySegment buffer,
      int count,
      MemorySegment type,
      int root,
      MemorySegment communicator,
      MemorySegment request) {
    call(
        "MPI_Ibcast",
        () -> (int) ibcast.invokeExact(buffer, count, type, root, communicator, request));
  }

  void barrier(MemorySegment communicator, MemorySegment request) {
    call("MPI_Ibarrier", () -> (int) ibarrier.invokeExact(communicator, request));
  }

  void send(
      MemorySegment message, int count, int to, MemorySegment communicator, MemorySegment request) {
    call(
        "MPI_Isend to rank " + to,
        () -> (int) isend.invokeExact(message, count, bytes, to, 0, communicator, request));
  }

  void receiveAny(
      MemorySegment message, int count, MemorySegment communicator, MemorySegment request) {
    call(
        "MPI_Irecv",
        () -> (int) irecv.invokeExact(message, count, bytes, ANY_SOURCE, 0, communicator, request));
  }

  private void call(String name, NativeCall call) {
    library.check(name, NativeCall.code(call));
  }
}
