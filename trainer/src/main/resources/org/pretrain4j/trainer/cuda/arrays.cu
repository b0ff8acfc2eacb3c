// Flat arrays: one thread a pack, the last thread takes what is left of one, element by element.

// ---- AdamW. Each operation is written out as one correctly rounded instruction, in the order of the CPU's vector
// code: the bits are the same.

struct AdamW {
  float gradientScale;
  float oneMinusBeta1;
  float beta2;
  float oneMinusBeta2;
  float rootScale;
  float epsilon;
  float stepSize;
  float decay;

  __device__ __forceinline__ void update(float gradient, float& p, float& m, float& v) const {
    float g = __fmul_rn(gradient, gradientScale);
    m = __fmaf_rn(__fsub_rn(g, m), oneMinusBeta1, m);
    v = __fmaf_rn(__fmul_rn(g, oneMinusBeta2), g, __fmul_rn(v, beta2));
    float denominator = __fmaf_rn(__fsqrt_rn(v), rootScale, epsilon);
    float adam = __fmul_rn(__fdiv_rn(m, denominator), stepSize);
    p = __fsub_rn(p, __fmaf_rn(p, decay, adam));
  }
};

template <int N>
static __device__ __forceinline__ void adamw_pack(
    const AdamW& with, float* master, float* expAvg, float* expAvgSq, const float* gradient,
    bf16* rounded) {
  Pack<float, N> p;
  Pack<float, N> m;
  Pack<float, N> v;
  Pack<float, N> g;
  p.read(master);
  m.read(expAvg);
  v.read(expAvgSq);
  g.read(gradient);
  float newP[N];
  float newM[N];
  float newV[N];
#pragma unroll
  for (int i = 0; i < N; i++) {
    newP[i] = p.get(i);
    newM[i] = m.get(i);
    newV[i] = v.get(i);
    with.update(g.get(i), newP[i], newM[i], newV[i]);
  }
  store<float, N>(master, newP);
  store<float, N>(expAvg, newM);
  store<float, N>(expAvgSq, newV);
  if (rounded) {
    store<bf16, N>(rounded, newP);
  }
}

#define DEFINE(N) \
  KERNEL(256) adamw_x##N( \
      float* __restrict__ master, float* __restrict__ expAvg, float* __restrict__ expAvgSq, \
      const float* __restrict__ gradient, bf16* __restrict__ rounded, long long elements, \
      float gradientScale, float oneMinusBeta1, float beta2, float oneMinusBeta2, float rootScale, \
      float epsilon, float stepSize, float decay) { \
    AdamW with = {gradientScale, oneMinusBeta1, beta2, oneMinusBeta2, rootScale, epsilon, stepSize, decay}; \
    long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * N; \
    if (i + N <= elements) { \
      adamw_pack<N>(with, master + i, expAvg + i, expAvgSq + i, gradient + i, rounded ? rounded + i : 0); \
    } else { \
      for (; i < elements; i++) { \
        adamw_pack<1>(with, master + i, expAvg + i, expAvgSq + i, gradient + i, rounded ? rounded + i : 0); \
      } \
    } \
  }
DEFINE(4)
DEFINE(1)
#undef DEFINE

// ---- Sums of float64. Squares of float32 are exact in it.

template <int N>
static __device__ __forceinline__ void sum_of_squares(
    const float* gradient, long long elements, double* partial) {
  double* sums = shared_as<double>();
  constexpr int BLOCK = 65536;
  long long start = (long long)blockIdx.x * BLOCK;
  int length = elements - start < BLOCK ? (int)(elements - start) : BLOCK;
  const float* block = gradient + start;
  double sum = 0;
  // The same elements in the same order for each N: four neighbours to a thread.
  int step = (int)blockDim.x * 4;
#pragma unroll 4
  for (int i = (int)threadIdx.x * 4; i < length; i += step) {
    if (N == 4 && i + 4 <= length) {
      Pack<float, 4> four;
      four.read(block + i);
#pragma unroll
      for (int k = 0; k < 4; k++) {
        double g = four.get(k);
        sum = fma(g, g, sum);
      }
    } else {
      for (int k = i; k < length && k < i + 4; k++) {
        double g = block[k];
        sum = fma(g, g, sum);
      }
    }
  }
  sum = group_sum(sum, (int)blockDim.x, sums);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
  }
}

KERNEL(512) sum_of_squares_x4(
    const float* __restrict__ gradient, long long elements, double* __restrict__ partial) {
  sum_of_squares<4>(gradient, elements, partial);
}

KERNEL(512) sum_of_squares_x1(
    const float* __restrict__ gradient, long long elements, double* __restrict__ partial) {
  sum_of_squares<1>(gradient, elements, partial);
}

// One block, so that the order is always the same.
KERNEL(1024) sum(const double* __restrict__ values, long long elements, double* __restrict__ total) {
  double* sums = shared_as<double>();
  double sum = 0;
  for (long long i = threadIdx.x; i < elements; i += blockDim.x) {
    sum += values[i];
  }
  sum = group_sum(sum, (int)blockDim.x, sums);
  if (threadIdx.x == 0) {
    *total += sum;
  }
}

// ---- Additions and conversions. A and B are the types of target and source.

template <typename A, typename B, int N, bool ADD>
static __device__ __forceinline__ void combine_pack(A* target, const B* source) {
  Pack<B, N> from;
  from.read(source);
  float values[N];
  if constexpr (ADD) {
    Pack<A, N> sum;
    sum.read(target);
#pragma unroll
    for (int i = 0; i < N; i++) {
      values[i] = sum.get(i) + from.get(i);
    }
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) {
      values[i] = from.get(i);
    }
  }
  store<A, N>(target, values);
}

#define DEFINE(name, A, B, N, ADD) \
  KERNEL(256) name##_x##N(A* __restrict__ target, const B* __restrict__ source, long long elements) { \
    long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * N; \
    if (i + N <= elements) { \
      combine_pack<A, B, N, ADD>(target + i, source + i); \
    } else { \
      for (; i < elements; i++) { \
        combine_pack<A, B, 1, ADD>(target + i, source + i); \
      } \
    } \
  }
DEFINE(add_f32, float, float, 4, true)
DEFINE(add_f32, float, float, 1, true)
DEFINE(add_bf16, float, bf16, 8, true)
DEFINE(add_bf16, float, bf16, 1, true)
DEFINE(widen, float, bf16, 8, false)
DEFINE(widen, float, bf16, 1, false)
DEFINE(narrow, bf16, float, 8, false)
DEFINE(narrow, bf16, float, 1, false)
#undef DEFINE
