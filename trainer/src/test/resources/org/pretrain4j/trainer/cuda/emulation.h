// CUDA on one CPU thread. The threads of a block are fibres that run until they wait: at a barrier for all threads
// of the block, at a shuffle for all lanes of the warp. A warp runs as far as it comes before the next one is looked
// at, in an order that the launch chooses, so that what lacks a barrier goes wrong in one order or another.
#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <sys/mman.h>
#include <ucontext.h>

#define PRETRAIN4J_EMULATED
#define __global__ __attribute__((used))
#define __device__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct Index {
  unsigned x;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

// What the kernels declare as extern.
alignas(16) double sharedMemory[12 * 1024];

namespace emulation {

enum State { READY, AT_BARRIER, AT_SHUFFLE, DONE };
enum Order { ASCENDING, DESCENDING, SHUFFLED };

struct Fibre {
  ucontext_t start;
  jmp_buf place;
  bool started;
  State state;
  int line;
  unsigned count;          // shuffles so far
  unsigned long slot[2];   // what the lane gives to others, by the parity of the count
};

static const int MOST_THREADS = 1024;
static const size_t STACK = 64 * 1024;
static const size_t SHARED = 48 * 1024;
static Fibre fibres[MOST_THREADS];
static char* stacks;
static jmp_buf scheduler;
static unsigned threads;
static unsigned current;
static void (*kernel)(void**);
static void** arguments;
static char error[256];
static std::mt19937 random;
static unsigned char* const shared = (unsigned char*)sharedMemory;

static void yield() {
  if (_setjmp(fibres[current].place) == 0) {
    _longjmp(scheduler, 1);
  }
}

// Ends the launch.
static void fail(const char* what, int line) {
  snprintf(error, sizeof error, "%s: thread %u of block %u, line %d of the kernels", what, current, blockIdx.x, line);
  _longjmp(scheduler, 2);
}

static void body() {
  for (;;) {
    kernel(arguments);
    fibres[current].state = DONE;
    yield();
  }
}

static void run(unsigned thread) {
  Fibre& fibre = fibres[thread];
  current = thread;
  threadIdx.x = thread;
  if (_setjmp(scheduler) != 0) {
    return;
  }
  if (fibre.started) {
    _longjmp(fibre.place, 1);
  }
  fibre.started = true;
  getcontext(&fibre.start);
  fibre.start.uc_stack.ss_sp = stacks + thread * STACK;
  fibre.start.uc_stack.ss_size = STACK;
  fibre.start.uc_link = nullptr;
  makecontext(&fibre.start, body, 0);
  setcontext(&fibre.start);
}

static void barrier(int line) {
  fibres[current].state = AT_BARRIER;
  fibres[current].line = line;
  yield();
}

template <typename T> T shuffle_xor(unsigned mask, T value, int distance, int line) {
  if (mask != 0xffffffffu) {
    fail("a shuffle of a part of the warp", line);
  }
  unsigned thread = current;
  Fibre& fibre = fibres[thread];
  memcpy(&fibre.slot[fibre.count % 2], &value, sizeof value);
  fibre.state = AT_SHUFFLE;
  fibre.line = line;
  yield();
  // Two slots in turns: no lane gives its next but one value before all have read this one.
  T result;
  memcpy(&result, &fibres[thread ^ distance].slot[fibre.count % 2], sizeof result);
  fibre.count++;
  return result;
}

static unsigned in_order(unsigned i, unsigned n, int order, const unsigned* shuffled) {
  return order == ASCENDING ? i : order == DESCENDING ? n - 1 - i : shuffled[i];
}

static void permute(unsigned* values, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    unsigned j = random() % (i + 1);
    values[i] = values[j];
    values[j] = i;
  }
}

// Until all lanes wait at a barrier or are done.
static void run_warp(unsigned warp, int order) {
  unsigned shuffled[32];
  for (;;) {
    permute(shuffled, 32);
    for (unsigned i = 0; i < 32; i++) {
      unsigned thread = warp * 32 + in_order(i, 32, order, shuffled);
      if (fibres[thread].state == READY) {
        run(thread);
        if (error[0]) {
          return;
        }
      }
    }
    Fibre* lanes = fibres + warp * 32;
    unsigned together = 0;
    unsigned waiting = 0;
    for (unsigned i = 0; i < 32; i++) {
      waiting += lanes[i].state == AT_SHUFFLE;
      together += lanes[i].state == AT_SHUFFLE && lanes[i].line == lanes[0].line;
    }
    if (waiting == 0) {
      return;
    }
    if (together < 32) {
      snprintf(error, sizeof error, "%u of 32 lanes of warp %u of block %u are at a shuffle", waiting, warp, blockIdx.x);
      return;
    }
    for (unsigned i = 0; i < 32; i++) {
      lanes[i].state = READY;
    }
  }
}

static void run_block(size_t sharedBytes, int order) {
  memset(shared, 0xff, sizeof sharedMemory); // no numbers
  for (unsigned i = 0; i < threads; i++) {
    fibres[i].state = READY;
    fibres[i].count = 0;
  }
  unsigned warps = threads / 32;
  unsigned shuffled[MOST_THREADS / 32];
  for (;;) {
    permute(shuffled, warps);
    for (unsigned i = 0; i < warps; i++) {
      run_warp(in_order(i, warps, order, shuffled), order);
      if (error[0]) {
        return;
      }
    }
    unsigned done = 0;
    unsigned together = 0;
    for (unsigned i = 0; i < threads; i++) {
      done += fibres[i].state == DONE;
      together += fibres[i].state == AT_BARRIER && fibres[i].line == fibres[0].line;
    }
    if (done < threads && together < threads) {
      snprintf(error, sizeof error, "%u of %u threads of block %u are at a barrier, %u have ended", together, threads, blockIdx.x, done);
      return;
    }
    if (done == threads) {
      break;
    }
    for (unsigned i = 0; i < threads; i++) {
      fibres[i].state = READY;
    }
  }
  for (size_t i = sharedBytes; i < sizeof sharedMemory; i++) {
    if (shared[i] != 0xff) {
      snprintf(error, sizeof error, "byte %zu of %zu bytes of shared memory is written", i, sharedBytes);
      return;
    }
  }
}

// Runs a kernel and returns null, or what went wrong.
static const char* launch(
    void (*function)(void**), void** values, unsigned blocks, unsigned blockThreads,
    size_t sharedBytes, int order, unsigned seed) {
  error[0] = 0;
  if (blockThreads == 0 || blockThreads > MOST_THREADS || blockThreads % 32 != 0 || sharedBytes > SHARED) {
    snprintf(error, sizeof error, "%u threads with %zu bytes of shared memory", blockThreads, sharedBytes);
    return error;
  }
  if (!stacks) {
    stacks = (char*)mmap(nullptr, STACK * MOST_THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  kernel = function;
  arguments = values;
  threads = blockThreads;
  blockDim.x = blockThreads;
  gridDim.x = blocks;
  random.seed(seed);
  for (unsigned i = 0; i < blocks && !error[0]; i++) {
    blockIdx.x = order == DESCENDING ? blocks - 1 - i : i;
    run_block(sharedBytes, order);
  }
  if (error[0]) {
    for (Fibre& fibre : fibres) {
      fibre.started = false; // stopped somewhere within a kernel
    }
    return error;
  }
  return nullptr;
}

} // namespace emulation

// What the compiler's sanitizer calls at an access that is not aligned as the type of its vector demands.
extern "C" void __ubsan_handle_type_mismatch_v1(void*, uintptr_t address) {
  char what[64];
  snprintf(what, sizeof what, "an access that is not aligned, at %lx", (unsigned long)address);
  emulation::fail(what, 0);
}

#define __syncthreads() emulation::barrier(__LINE__)
#define __shfl_xor_sync(mask, value, distance) emulation::shuffle_xor(mask, value, distance, __LINE__)

template <typename To, typename From> static inline To same_bits(From from) {
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

static inline float __uint_as_float(unsigned bits) { return same_bits<float>(bits); }
static inline unsigned __float_as_uint(float value) { return same_bits<unsigned>(value); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
#define rsqrtf(value) (1.0f / sqrtf(value))
