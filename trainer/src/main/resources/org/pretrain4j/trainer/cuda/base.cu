// What all kernels share. bfloat16 is kept as its bits, so that no header is needed.
typedef unsigned short bf16;

#define ALL_LANES 0xffffffffu
#define LARGEST 3.402823466e+38f

static __device__ __forceinline__ float widened(float value) { return value; }

static __device__ __forceinline__ float widened(bf16 bits) {
  return __uint_as_float((unsigned)bits << 16);
}

// Rounded to nearest, ties to even; any NaN becomes one NaN. In integers, as the bits are then those of the CPU.
static __device__ __forceinline__ bf16 narrowed(float value) {
  unsigned bits = __float_as_uint(value);
  unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return (bf16)(value != value ? 0x7fc0u : rounded);
}

// What a store as T and a load would give.
template <typename T> static __device__ __forceinline__ float rounded(float value);
template <> __device__ __forceinline__ float rounded<float>(float value) { return value; }
template <> __device__ __forceinline__ float rounded<bf16>(float value) {
  return widened(narrowed(value));
}

// N elements as they lie in memory, in as few registers. Whole packs of 16 bytes go in one access,
// which is what fills the memory's bandwidth; a pack of one element is the path for odd shapes.
template <typename T, int N> struct Pack {
  static constexpr int WORDS = N * (int)sizeof(T) / 4;
  unsigned words[WORDS];

  __device__ __forceinline__ void read(const T* from) {
    if constexpr (WORDS % 4 == 0) {
#pragma unroll
      for (int i = 0; i < WORDS / 4; i++) {
        uint4 four = reinterpret_cast<const uint4*>(from)[i];
        words[4 * i] = four.x;
        words[4 * i + 1] = four.y;
        words[4 * i + 2] = four.z;
        words[4 * i + 3] = four.w;
      }
    } else if constexpr (WORDS == 2) {
      uint2 two = *reinterpret_cast<const uint2*>(from);
      words[0] = two.x;
      words[1] = two.y;
    } else {
      words[0] = *reinterpret_cast<const unsigned*>(from);
    }
  }

  __device__ __forceinline__ void write(T* to) const {
    if constexpr (WORDS % 4 == 0) {
#pragma unroll
      for (int i = 0; i < WORDS / 4; i++) {
        uint4 four = {words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]};
        reinterpret_cast<uint4*>(to)[i] = four;
      }
    } else if constexpr (WORDS == 2) {
      uint2 two = {words[0], words[1]};
      *reinterpret_cast<uint2*>(to) = two;
    } else {
      *reinterpret_cast<unsigned*>(to) = words[0];
    }
  }

  // With i known to the compiler, one instruction or none.
  __device__ __forceinline__ float get(int i) const {
    if constexpr (sizeof(T) == 4) {
      return __uint_as_float(words[i]);
    } else {
      return __uint_as_float(i % 2 == 0 ? words[i / 2] << 16 : words[i / 2] & 0xffff0000u);
    }
  }

  __device__ __forceinline__ void set(const float (&values)[N]) {
    if constexpr (sizeof(T) == 4) {
#pragma unroll
      for (int i = 0; i < N; i++) {
        words[i] = __float_as_uint(values[i]);
      }
    } else {
#pragma unroll
      for (int i = 0; i < N / 2; i++) {
        words[i] = (unsigned)narrowed(values[2 * i]) | (unsigned)narrowed(values[2 * i + 1]) << 16;
      }
    }
  }
};

template <> struct Pack<bf16, 1> {
  bf16 bits;

  __device__ __forceinline__ void read(const bf16* from) { bits = *from; }
  __device__ __forceinline__ void write(bf16* to) const { *to = bits; }
  __device__ __forceinline__ float get(int) const { return widened(bits); }
  __device__ __forceinline__ void set(const float (&values)[1]) { bits = narrowed(values[0]); }
};

template <typename T, int N>
static __device__ __forceinline__ void store(T* to, const float (&values)[N]) {
  Pack<T, N> pack;
  pack.set(values);
  pack.write(to);
}

// 2^x within two units of the last place; what is below 2^-126 becomes 0.
static __device__ __forceinline__ float power2(float x) {
#ifdef PRETRAIN4J_EMULATED
  return exp2f(x);
#else
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#endif
}

#define LOG2_E 1.4426950408889634f

// 1 / (1 + e^-x).
static __device__ __forceinline__ float sigmoid(float x) {
  return __fdividef(1.0f, 1.0f + power2(-LOG2_E * x));
}

template <typename T> static __device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(ALL_LANES, value, distance);
  }
  return value;
}

// The shared memory of a block, whose size is the launch's.
extern __shared__ double sharedMemory[];

template <typename T> static __device__ __forceinline__ T* shared_as() {
  return reinterpret_cast<T*>(sharedMemory);
}

// Sum over the groupThreads threads of a group (whole warps), for each of them, always in the same order. All
// threads of the block must come here. scratch has a place for each warp; the same one may be used again only
// after another barrier.
template <typename T>
static __device__ __forceinline__ T group_sum(T value, int groupThreads, T* scratch) {
  value = warp_sum(value);
  if (groupThreads > 32) {
    if (threadIdx.x % 32 == 0) {
      scratch[threadIdx.x / 32] = value;
    }
    __syncthreads();
    int warps = groupThreads / 32;
    int first = (int)threadIdx.x / groupThreads * warps;
    value = scratch[first];
    for (int i = 1; i < warps; i++) {
      value += scratch[first + i];
    }
  }
  return value;
}

// Names: kernel, element type, elements that a thread takes at once.
#define FOR_TYPES(DEFINE) \
  DEFINE(bf16_x8, bf16, 8) \
  DEFINE(bf16_x1, bf16, 1) \
  DEFINE(f32_x4, float, 4) \
  DEFINE(f32_x1, float, 1)

// Arguments: threads of a block at most, and blocks that should fit on a multiprocessor.
#define KERNEL(...) extern "C" __global__ void __launch_bounds__(__VA_ARGS__)
