package org.pretrain4j.trainer.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.pretrain4j.trainer.parallel.natives.NativeCall;

/** The driver's streams and events. */
final class CudaStreams {
  /** CUDA_ERROR_NOT_READY: the event is still to come. */
  static final int NOT_READY = 600;

  /** CU_STREAM_NON_BLOCKING. */
  static final int NON_BLOCKING = 1;

  /** CU_EVENT_DEFAULT. */
  static final int TIMING = 0;

  /** CU_EVENT_DISABLE_TIMING. */
  static final int DISABLE_TIMING = 2;

  private final CudaApi api;
  private final CudaContext context;
  private final MethodHandle createStream;
  private final MethodHandle createEvent;
  private final MethodHandle destroyStream;
  private final MethodHandle destroyEvent;
  private final MethodHandle synchronizeStream;
  private final MethodHandle synchronizeEvent;
  private final MethodHandle record;
  private final MethodHandle query;
  private final MethodHandle waitEvent;
  private final MethodHandle elapsed;

  CudaStreams(CudaApi api, CudaContext context) {
    this.api = api;
    this.context = context;
    createStream = api.function("cuStreamCreate", ADDRESS, JAVA_INT);
    createEvent = api.function("cuEventCreate", ADDRESS, JAVA_INT);
    destroyStream = api.function("cuStreamDestroy_v2", JAVA_LONG);
    destroyEvent = api.function("cuEventDestroy_v2", JAVA_LONG);
    synchronizeStream = api.function("cuStreamSynchronize", JAVA_LONG);
    synchronizeEvent = api.function("cuEventSynchronize", JAVA_LONG);
    record = api.function("cuEventRecord", JAVA_LONG, JAVA_LONG);
    query = api.function("cuEventQuery", JAVA_LONG);
    waitEvent = api.function("cuStreamWaitEvent", JAVA_LONG, JAVA_LONG, JAVA_INT);
    elapsed = api.function("cuEventElapsedTime", ADDRESS, JAVA_LONG, JAVA_LONG);
  }

  long createStream() {
    return create("cuStreamCreate", createStream, NON_BLOCKING);
  }

  long createEvent() {
    return create("cuEventCreate", createEvent, DISABLE_TIMING);
  }

  long createTimingEvent() {
    return create("cuEventCreate", createEvent, TIMING);
  }

  private long create(String name, MethodHandle create, int flags) {
    context.use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_LONG);
      api.check(name, () -> (int) create.invokeExact(cell, flags));
      return cell.get(JAVA_LONG, 0);
    }
  }

  void destroyStream(long stream) {
    context.use();
    api.check("cuStreamDestroy", () -> (int) destroyStream.invokeExact(stream));
  }

  void destroyEvent(long event) {
    context.use();
    api.check("cuEventDestroy", () -> (int) destroyEvent.invokeExact(event));
  }

  void record(long event, long stream) {
    context.use();
    api.check("cuEventRecord", () -> (int) record.invokeExact(event, stream));
  }

  void waitFor(long stream, long event) {
    context.use();
    api.check("cuStreamWaitEvent", () -> (int) waitEvent.invokeExact(stream, event, 0));
  }

  boolean isDone(long event) {
    context.use();
    int code = NativeCall.code(() -> (int) query.invokeExact(event));
    if (code != NOT_READY) {
      api.check("cuEventQuery", code);
    }
    return code == 0;
  }

  /** The driver counts in milliseconds, as a float. */
  double secondsBetween(long earlier, long later) {
    context.use();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment cell = arena.allocate(JAVA_FLOAT);
      api.check("cuEventElapsedTime", () -> (int) elapsed.invokeExact(cell, earlier, later));
      return cell.get(JAVA_FLOAT, 0) * 1e-3;
    }
  }

  void synchronize(long stream) {
    context.use();
    api.check("cuStreamSynchronize", () -> (int) synchronizeStream.invokeExact(stream));
  }

  void await(long event) {
    context.use();
    api.check("cuEventSynchronize", () -> (int) synchronizeEvent.invokeExact(event));
  }
}
