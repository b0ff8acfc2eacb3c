package org.pretrain4j.trainer.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A model of the driver whose GPU memory is the host's. All is done when a call returns; what is
 * taken and given back is counted.
 */
public final class HostMemoryGpu implements GpuDriver {
  private final Map<Long, Arena> memory = new HashMap<>();
  private final Map<Long, Long> sizes = new HashMap<>();
  private final Set<Long> handles = new HashSet<>();
  private final Map<Long, Integer> times = new HashMap<>();
  private long next = 1;
  private int records;

  /** Names of started kernels, with their grids. */
  public final List<String> launches = new ArrayList<>();

  /** Copies between host and GPU that went through a stream. */
  public int streamedCopies;

  /** Memory, events and streams that were not given back. */
  public int live() {
    return memory.size() + handles.size();
  }

  /** Of all memory that was not given back, the GPU's and pinned. */
  public long bytes() {
    return sizes.values().stream().mapToLong(Long::longValue).sum();
  }

  @Override
  public String name() {
    return "a model of a GPU";
  }

  @Override
  public int capability() {
    return 90;
  }

  @Override
  public long totalMemory() {
    return 1L << 30;
  }

  @Override
  public long usedMemory() {
    return 1L << 20;
  }

  @Override
  public void use() {}

  private long handle() {
    handles.add(next);
    return next++;
  }

  private void destroy(long handle) {
    if (!handles.remove(handle)) {
      throw new IllegalStateException("no such handle, or given back twice: " + handle);
    }
  }

  private void require(long handle) {
    if (handle != DEFAULT_STREAM && !handles.contains(handle)) {
      throw new IllegalStateException("no such handle: " + handle);
    }
  }

  @Override
  public long createStream() {
    return handle();
  }

  @Override
  public long createEvent() {
    return handle();
  }

  @Override
  public long createTimingEvent() {
    long event = handle();
    times.put(event, records);
    return event;
  }

  /** A second goes by from one recorded event to the next. */
  @Override
  public double secondsBetween(long earlier, long later) {
    return times.get(later) - times.get(earlier);
  }

  @Override
  public void destroyEvent(long event) {
    destroy(event);
    times.remove(event);
  }

  @Override
  public void destroyStream(long stream) {
    destroy(stream);
  }

  @Override
  public void record(long event, long stream) {
    require(event);
    require(stream);
    records++;
    times.computeIfPresent(event, (key, before) -> records);
  }

  @Override
  public void waitFor(long stream, long event) {
    require(event);
    require(stream);
  }

  @Override
  public boolean isDone(long event) {
    require(event);
    return true;
  }

  @Override
  public void synchronize(long stream) {
    require(stream);
  }

  @Override
  public void await(long event) {
    require(event);
  }

  private MemorySegment take(long bytes) {
    Arena arena = Arena.ofShared();
    MemorySegment segment = arena.allocate(bytes, 256);
    memory.put(segment.address(), arena);
    sizes.put(segment.address(), bytes);
    return segment;
  }

  private void give(long address) {
    Arena arena = memory.remove(address);
    sizes.remove(address);
    if (arena == null) {
      throw new IllegalStateException("no such memory, or given back twice: " + address);
    }
    arena.close();
  }

  @Override
  public long allocate(long bytes) {
    return take(bytes).address();
  }

  @Override
  public void free(long address) {
    give(address);
  }

  @Override
  public MemorySegment allocatePinned(long bytes) {
    return take(bytes);
  }

  @Override
  public void freePinned(MemorySegment segment) {
    give(segment.address());
  }

  @SuppressWarnings("restricted")
  private static MemorySegment at(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  @Override
  public void copyToGpu(long address, MemorySegment from) {
    at(address, from.byteSize()).copyFrom(from);
  }

  @Override
  public void copyFromGpu(long address, MemorySegment into) {
    into.copyFrom(at(address, into.byteSize()));
  }

  @Override
  public void copyToGpu(long address, MemorySegment pinned, long stream) {
    require(stream);
    streamedCopies++;
    copyToGpu(address, pinned);
  }

  @Override
  public void copyFromGpu(long address, MemorySegment pinned, long stream) {
    require(stream);
    streamedCopies++;
    copyFromGpu(address, pinned);
  }

  @Override
  public long loadModule(byte[] image) {
    return 7;
  }

  @Override
  public void unloadModule(long module) {
    launches.add("unload " + module);
  }

  @Override
  public long function(long module, String name) {
    launches.add("function " + name + " of " + module);
    return 100 + name.length();
  }

  @Override
  public void launch(
      long function,
      long blocks,
      int threads,
      int sharedBytes,
      long stream,
      MemorySegment arguments) {
    launches.add("%d<<<%d, %d, %d>>>".formatted(function, blocks, threads, sharedBytes));
  }
}
