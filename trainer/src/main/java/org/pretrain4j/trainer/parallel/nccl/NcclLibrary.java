package org.pretrain4j.trainer.parallel.nccl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Map;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.trainer.parallel.natives.NativeCall;
import org.pretrain4j.trainer.parallel.natives.NativeLibrary;

/** The NCCL library of this machine. */
final class NcclLibrary implements Nccl {
  /** ncclUniqueId, which is passed by value. */
  static final StructLayout UNIQUE_ID =
      MemoryLayout.structLayout(
          MemoryLayout.sequenceLayout(UNIQUE_ID_BYTES, JAVA_BYTE).withName("internal"));

  /**
   * ncclConfig_t as of NCCL 2.14, the first that has it. Later versions append fields, and fill
   * them in themselves when {@code version} is older than they are.
   */
  static final StructLayout CONFIG =
      MemoryLayout.structLayout(
          JAVA_LONG.withName("size"),
          JAVA_INT.withName("magic"),
          JAVA_INT.withName("version"),
          JAVA_INT.withName("blocking"),
          MemoryLayout.paddingLayout(4));

  static final int CONFIG_MAGIC = 0xcafebeef;
  static final int CONFIG_VERSION = 21_400;

  static final NativeLibrary.Search SEARCH =
      new NativeLibrary.Search(
          "NCCL",
          "PRETRAIN4J_LIBNCCL",
          List.of("libnccl.so.2", "libnccl.so"),
          List.of(
              "/usr/lib/x86_64-linux-gnu",
              "/usr/lib/aarch64-linux-gnu",
              "/usr/lib64",
              "/usr/local/nccl/lib",
              "/usr/local/cuda/lib64",
              "/opt/nccl/lib"));

  private final MethodHandle asyncError;
  private final MethodHandle allReduce;
  private final MethodHandle reduceScatter;
  private final MethodHandle allGather;
  private final MethodHandle broadcast;
  private final MethodHandle groupStart;
  private final MethodHandle groupEnd;
  private final MethodHandle initialize;
  private final MethodHandle getUniqueId;
  private final MethodHandle getVersion;
  private final MethodHandle finish;
  private final MethodHandle destroy;
  private final MethodHandle abort;
  private final MethodHandle getLastError;

  private NcclLibrary(NativeLibrary library) {
    getVersion = library.function("ncclGetVersion", JAVA_INT, ADDRESS);
    getUniqueId = library.function("ncclGetUniqueId", JAVA_INT, ADDRESS);
    initialize =
        library.function(
            "ncclCommInitRankConfig", JAVA_INT, ADDRESS, JAVA_INT, UNIQUE_ID, JAVA_INT, ADDRESS);
    asyncError = library.function("ncclCommGetAsyncError", JAVA_INT, JAVA_LONG, ADDRESS);
    allReduce =
        library.function(
            "ncclAllReduce",
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG);
    reduceScatter =
        library.function(
            "ncclReduceScatter",
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG);
    allGather =
        library.function(
            "ncclAllGather",
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG);
    broadcast =
        library.function(
            "ncclBroadcast",
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG);
    groupStart = library.function("ncclGroupStart", JAVA_INT);
    groupEnd = library.function("ncclGroupEnd", JAVA_INT);
    finish = library.function("ncclCommFinalize", JAVA_INT, JAVA_LONG);
    destroy = library.function("ncclCommDestroy", JAVA_INT, JAVA_LONG);
    abort = library.function("ncclCommAbort", JAVA_INT, JAVA_LONG);
    getLastError = library.function("ncclGetLastError", ADDRESS, JAVA_LONG);
  }

  /**
   * Opens libnccl.
   *
   * @throws UserException if there is none, or it is older than 2.14
   */
  static NcclLibrary open(Map<String, String> environment) {
    return new NcclLibrary(
        NativeLibrary.open(
            SEARCH, environment, "install NCCL 2.14 or newer (Debian, Ubuntu: libnccl2)"));
  }

  private static void check(String call, int code) {
    if (code != NcclResult.SUCCESS.ordinal() && code != NcclResult.IN_PROGRESS.ordinal()) {
      throw new IllegalStateException(call + " failed: " + NcclResult.describe(code));
    }
  }

  @Override
  public int version() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment version = arena.allocate(JAVA_INT);
      check("ncclGetVersion", (int) getVersion.invokeExact(version));
      return version.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public byte[] uniqueId() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment id = arena.allocate(UNIQUE_ID);
      check("ncclGetUniqueId", (int) getUniqueId.invokeExact(id));
      return id.toArray(JAVA_BYTE);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public long initialize(int worldSize, byte[] uniqueId, int rank) {
    try {
      // A non-blocking initialisation may read them after the call has returned.
      MemorySegment id = Arena.global().allocate(UNIQUE_ID);
      id.copyFrom(MemorySegment.ofArray(uniqueId));
      MemorySegment communicator = Arena.global().allocate(JAVA_LONG);
      check(
          "ncclCommInitRankConfig",
          (int)
              initialize.invokeExact(
                  communicator, worldSize, id, rank, nonBlocking(Arena.global())));
      return communicator.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  static MemorySegment nonBlocking(Arena arena) {
    MemorySegment config = arena.allocate(CONFIG);
    config.set(JAVA_LONG, offset("size"), CONFIG.byteSize());
    config.set(JAVA_INT, offset("magic"), CONFIG_MAGIC);
    config.set(JAVA_INT, offset("version"), CONFIG_VERSION);
    config.set(JAVA_INT, offset("blocking"), 0);
    return config;
  }

  private static long offset(String field) {
    return CONFIG.byteOffset(MemoryLayout.PathElement.groupElement(field));
  }

  @Override
  public int asyncError(long communicator) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(JAVA_INT);
      int code = (int) asyncError.invokeExact(communicator, state);
      return code == 0 ? state.get(JAVA_INT, 0) : code;
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  @Override
  public int allReduce(
      long send, long receive, long count, int type, int op, long communicator, long stream) {
    return NativeCall.code(
        () -> (int) allReduce.invokeExact(send, receive, count, type, op, communicator, stream));
  }

  @Override
  public int reduceScatter(
      long send, long receive, long count, int type, int op, long communicator, long stream) {
    return NativeCall.code(
        () ->
            (int) reduceScatter.invokeExact(send, receive, count, type, op, communicator, stream));
  }

  @Override
  public int allGather(
      long send, long receive, long count, int type, long communicator, long stream) {
    return NativeCall.code(
        () -> (int) allGather.invokeExact(send, receive, count, type, communicator, stream));
  }

  @Override
  public int broadcast(
      long send, long receive, long count, int type, int root, long communicator, long stream) {
    return NativeCall.code(
        () -> (int) broadcast.invokeExact(send, receive, count, type, root, communicator, stream));
  }

  @Override
  public int groupStart() {
    return plain(groupStart);
  }

  @Override
  public int groupEnd() {
    return plain(groupEnd);
  }

  private static int plain(MethodHandle function) {
    return NativeCall.code(() -> (int) function.invokeExact());
  }

  @Override
  public int finish(long communicator) {
    return on(finish, communicator);
  }

  @Override
  public int destroy(long communicator) {
    return on(destroy, communicator);
  }

  @Override
  public int abort(long communicator) {
    return on(abort, communicator);
  }

  private static int on(MethodHandle function, long communicator) {
    return NativeCall.code(() -> (int) function.invokeExact(communicator));
  }

  @Override
  @SuppressWarnings("restricted") // a C string that NCCL owns
  public String lastError(long communicator) {
    try {
      MemorySegment text = (MemorySegment) getLastError.invokeExact(communicator);
      return text.address() == 0 ? "" : text.reinterpret(Long.MAX_VALUE).getString(0).strip();
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }
}
