package org.pretrain4j.trainer.cuda;

import java.lang.foreign.MemorySegment;
import java.util.Map;

/**
 * One GPU through the CUDA driver, which every machine with a GPU has. It shares the primary
 * context with the CUDA runtime that libtorch uses, and so its memory and its default stream. Each
 * function of the driver is looked up once, when this is opened.
 */
public final class CudaDriver implements GpuDriver {
  private final CudaContext context;
  private final CudaStreams streams;
  private final CudaMemory memory;
  private final CudaModules modules;

  private CudaDriver(CudaApi api, int index) {
    context = new CudaContext(api, index);
    streams = new CudaStreams(api, context);
    memory = new CudaMemory(api, context);
    modules = new CudaModules(api, context);
  }

  /**
   * Opens the driver and takes a GPU.
   *
   * @throws org.pretrain4j.configuration.UserException if there is no driver or no such GPU
   */
  public static CudaDriver open(Map<String, String> environment, int device) {
    return new CudaDriver(CudaApi.open(environment), device);
  }

  @Override
  public String name() {
    return context.name();
  }

  @Override
  public int capability() {
    return context.capability();
  }

  @Override
  public long totalMemory() {
    return context.totalMemory();
  }

  @Override
  public long usedMemory() {
    return context.usedMemory();
  }

  @Override
  public void use() {
    context.use();
  }

  @Override
  public long createStream() {
    return streams.createStream();
  }

  @Override
  public long createEvent() {
    return streams.createEvent();
  }

  @Override
  public long createTimingEvent() {
    return streams.createTimingEvent();
  }

  @Override
  public double secondsBetween(long earlier, long later) {
    return streams.secondsBetween(earlier, later);
  }

  @Override
  public void destroyStream(long stream) {
    streams.destroyStream(stream);
  }

  @Override
  public void destroyEvent(long event) {
    streams.destroyEvent(event);
  }

  @Override
  public void record(long event, long stream) {
    streams.record(event, stream);
  }

  @Override
  public void waitFor(long stream, long event) {
    streams.waitFor(stream, event);
  }

  @Override
  public boolean isDone(long event) {
    return streams.isDone(event);
  }

  @Override
  public void synchronize(long stream) {
    streams.synchronize(stream);
  }

  @Override
  public void await(long event) {
    streams.await(event);
  }

  @Override
  public long allocate(long bytes) {
    return memory.allocate(bytes);
  }

  @Override
  public void free(long address) {
    memory.free(address);
  }

  @Override
  public MemorySegment allocatePinned(long bytes) {
    return memory.allocatePinned(bytes);
  }

  @Override
  public void freePinned(MemorySegment pinned) {
    memory.freePinned(pinned);
  }

  @Override
  public void copyToGpu(long address, MemorySegment from) {
    memory.copyToGpu(address, from);
  }

  @Override
  public void copyFromGpu(long address, MemorySegment into) {
    memory.copyFromGpu(address, into);
  }

  @Override
  public void copyToGpu(long address, MemorySegment pinned, long stream) {
    memory.copyToGpu(address, pinned, stream);
  }

  @Override
  public void copyFromGpu(long address, MemorySegment pinned, long stream) {
    memory.copyFromGpu(address, pinned, stream);
  }

  @Override
  public long loadModule(byte[] image) {
    return modules.load(image);
  }

  @Override
  public void unloadModule(long module) {
    modules.unload(module);
  }

  @Override
  public long function(long module, String name) {
    return modules.function(module, name);
  }

  @Override
  public void launch(
      long function,
      long blocks,
      int threads,
      int sharedBytes,
      long stream,
      MemorySegment arguments) {
    modules.launch(function, blocks, threads, sharedBytes, stream, arguments);
  }
}
