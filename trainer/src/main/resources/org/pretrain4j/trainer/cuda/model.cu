// The model's kernels. Matrices are row-major; counts of rows and packs fit in 32 bits where an index is divided.

// ---- Embedding: a copy of rows. One thread a pack.

template <typename T, int N>
static __device__ __forceinline__ void embedding_forward(
    const T* table, const int* tokens, T* output, int rows, int packs) {
  unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned row = item / packs;
  if (row < (unsigned)rows) {
    unsigned column = (item - row * packs) * N;
    Pack<T, N> pack;
    pack.read(table + (long long)tokens[row] * packs * N + column);
    pack.write(output + (long long)row * packs * N + column);
  }
}

#define DEFINE(name, T, N) \
  KERNEL(256) embedding_forward_##name( \
      const T* __restrict__ table, const int* __restrict__ tokens, T* __restrict__ output, int rows, \
      int packs) { \
    embedding_forward<T, N>(table, tokens, output, rows, packs); \
  }
FOR_TYPES(DEFINE)
#undef DEFINE

// Each row of the table has one thread a pack, which adds in the order of positions: no atomics, and the bits of
// a loop over positions. Four positions are read ahead, as each load waits for memory.
template <typename T, int N>
static __device__ __forceinline__ void embedding_backward(
    const T* gradient, const int* positions, const int* starts, const int* tokens, float* table,
    int packs, int blocksOfRow) {
  int group = blockIdx.x / blocksOfRow;
  int pack = (blockIdx.x - group * blocksOfRow) * blockDim.x + threadIdx.x;
  if (pack >= packs) {
    return;
  }
  long long width = (long long)packs * N;
  float* sums = table + tokens[group] * width + pack * N;
  const T* column = gradient + pack * N;
  Pack<float, N> before;
  before.read(sums);
  float values[N];
#pragma unroll
  for (int i = 0; i < N; i++) {
    values[i] = before.get(i);
  }
  int position = starts[group];
  int end = starts[group + 1];
  for (; position + 4 <= end; position += 4) {
    Pack<T, N> ahead[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
      ahead[k].read(column + positions[position + k] * width);
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
#pragma unroll
      for (int i = 0; i < N; i++) {
        values[i] += ahead[k].get(i);
      }
    }
  }
  for (; position < end; position++) {
    Pack<T, N> addend;
    addend.read(column + positions[position] * width);
#pragma unroll
    for (int i = 0; i < N; i++) {
      values[i] += addend.get(i);
    }
  }
  store<float, N>(sums, values);
}

#define DEFINE(name, T, N) \
  KERNEL(64, 16) embedding_backward_##name( \
      const T* __restrict__ gradient, const int* __restrict__ positions, \
      const int* __restrict__ starts, const int* __restrict__ tokens, float* __restrict__ table, \
      int packs, int blocksOfRow) { \
    embedding_backward<T, N>(gradient, positions, starts, tokens, table, packs, blocksOfRow); \
  }
FOR_TYPES(DEFINE)
#undef DEFINE

// ---- RMSNorm. A group of warps has a row and keeps its first packs in registers, so that memory is read once; y
// may be x.

template <typename T, int N>
static __device__ __forceinline__ void rms_norm_row(
    const Pack<T, N>& pack, float inverse, const T* __restrict__ weight, T* y) {
  Pack<T, N> w;
  w.read(weight);
  float values[N];
#pragma unroll
  for (int i = 0; i < N; i++) {
    values[i] = rounded<T>(pack.get(i) * inverse) * w.get(i);
  }
  store<T, N>(y, values);
}

template <typename T, int N>
static __device__ __forceinline__ void rms_norm_forward(
    const T* x, const T* __restrict__ weight, T* y, float* __restrict__ rstd, long long rows,
    int hidden, float epsilon, int groupThreads) {
  constexpr int KEPT = 4;
  float* shared = shared_as<float>();
  int group = (int)threadIdx.x / groupThreads;
  int lane = (int)threadIdx.x - group * groupThreads;
  long long row = (long long)blockIdx.x * (blockDim.x / groupThreads) + group;
  int packs = row < rows ? hidden / N : 0; // a group without a row still comes to the barrier
  const T* from = x + row * hidden;
  T* to = y + row * hidden;
  Pack<T, N> kept[KEPT];
#pragma unroll
  for (int k = 0; k < KEPT; k++) {
    int pack = lane + k * groupThreads;
    if (pack < packs) {
      kept[k].read(from + pack * N);
    }
  }
  float squares = 0;
#pragma unroll
  for (int k = 0; k < KEPT; k++) {
    if (lane + k * groupThreads < packs) {
#pragma unroll
      for (int i = 0; i < N; i++) {
        squares = fmaf(kept[k].get(i), kept[k].get(i), squares);
      }
    }
  }
  for (int pack = lane + KEPT * groupThreads; pack < packs; pack += groupThreads) {
    Pack<T, N> values;
    values.read(from + pack * N);
#pragma unroll
    for (int i = 0; i < N; i++) {
      squares = fmaf(values.get(i), values.get(i), squares);
    }
  }
  squares = group_sum(squares, groupThreads, shared);
  float inverse = rsqrtf(squares / (float)hidden + epsilon);
  if (lane == 0 && packs > 0) {
    rstd[row] = inverse;
  }
#pragma unroll
  for (int k = 0; k < KEPT; k++) {
    int pack = lane + k * groupThreads;
    if (pack < packs) {
      rms_norm_row<T, N>(kept[k], inverse, weight + pack * N, to + pack * N);
    }
  }
  for (int pack = lane + KEPT * groupThreads; pack < packs; pack += groupThreads) {
    Pack<T, N> values;
    values.read(from + pack * N);
    rms_norm_row<T, N>(values, inverse, weight + pack * N, to + pack * N);
  }
}

#define DEFINE(name, T, N) \
  KERNEL(512) rms_norm_forward_##name( \
      const T* x, const T* __restrict__ weight, T* y, float* __restrict__ rstd, long long rows, \
      int hidden, float epsilon, int groupThreads) { \
    rms_norm_forward<T, N>(x, weight, y, rstd, rows, hidden, epsilon, groupThreads); \
  }
FOR_TYPES(DEFINE)
#undef DEFINE

// T is the type of the data, D that of dy. Each thread has the same PACKS packs of columns in all rows of its group:
// the weight and the sums of its gradient stay in registers, and a block writes one partial sum at the end. dx may
// be dy or past.
template <typename T, typename D, int N, int PACKS>
static __device__ __forceinline__ void rms_norm_backward(
    const D* dy, const T* past, const T* __restrict__ x, const T* __restrict__ weight,
    const float* __restrict__ rstd, T* dx, float* __restrict__ partial, long long rows, int hidden,
    int groupThreads) {
  float* shared = shared_as<float>();
  int groups = (int)blockDim.x / groupThreads;
  int group = (int)threadIdx.x / groupThreads;
  int lane = (int)threadIdx.x - group * groupThreads;
  int packs = hidden / N;
  Pack<T, N> w[PACKS];
  float sums[PACKS * N];
#pragma unroll
  for (int k = 0; k < PACKS; k++) {
    int pack = lane + k * groupThreads;
    if (pack < packs) {
      w[k].read(weight + pack * N);
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
      sums[k * N + i] = 0;
    }
  }
  int turn = 0;
  long long step = (long long)gridDim.x * groups;
  // The same number of turns for all groups, as all come to the barriers.
  for (long long start = (long long)blockIdx.x * groups; start < rows; start += step) {
    long long row = start + group;
    int present = row < rows ? packs : 0;
    Pack<D, N> d[PACKS];
    Pack<T, N> n[PACKS];
    Pack<T, N> beside[PACKS];
    float inverse = present > 0 ? rstd[row] : 0;
#pragma unroll
    for (int k = 0; k < PACKS; k++) {
      int pack = lane + k * groupThreads;
      if (pack < present) {
        d[k].read(dy + row * hidden + pack * N);
        n[k].read(x + row * hidden + pack * N);
        if (past) {
          beside[k].read(past + row * hidden + pack * N); // early, to arrive during the sum
        }
      }
    }
    float product = 0;
#pragma unroll
    for (int k = 0; k < PACKS; k++) {
      if (lane + k * groupThreads < present) {
#pragma unroll
        for (int i = 0; i < N; i++) {
          float normed = n[k].get(i) * inverse;
          float gradient = d[k].get(i);
          sums[k * N + i] = fmaf(gradient, rounded<T>(normed), sums[k * N + i]);
          product = fmaf(gradient * w[k].get(i), normed, product);
        }
      }
    }
    // Two halves of the scratch in turns: the barrier of the next turn is between two uses of one.
    float mean =
        group_sum(product, groupThreads, shared + (turn & 1) * (blockDim.x / 32)) / (float)hidden;
    turn++;
#pragma unroll
    for (int k = 0; k < PACKS; k++) {
      int pack = lane + k * groupThreads;
      if (pack < present) {
        float values[N];
#pragma unroll
        for (int i = 0; i < N; i++) {
          float normed = n[k].get(i) * inverse;
          values[i] = (d[k].get(i) * w[k].get(i) - normed * mean) * inverse;
          if (past) {
            values[i] += beside[k].get(i);
          }
        }
        store<T, N>(dx + row * hidden + pack * N, values);
      }
    }
  }
  float* target = partial + (long long)blockIdx.x * hidden;
  if (groups > 1) {
    // Groups are joined in order through shared memory, which has held sums until here.
    __syncthreads();
#pragma unroll
    for (int k = 0; k < PACKS; k++) {
      int pack = lane + k * groupThreads;
      if (pack < packs) {
#pragma unroll
        for (int i = 0; i < N; i++) {
          shared[group * hidden + pack * N + i] = sums[k * N + i];
        }
      }
    }
    __syncthreads();
    for (int column = threadIdx.x; column < hidden; column += blockDim.x) {
      float sum = shared[column];
      for (int other = 1; other < groups; other++) {
        sum += shared[other * hidden + column];
      }
      target[column] = sum;
    }
  } else {
#pragma unroll
    for (int k = 0; k < PACKS; k++) {
      int pack = lane + k * groupThreads;
      if (pack < packs) {
        float values[N];
#pragma unroll
        for (int i = 0; i < N; i++) {
          values[i] = sums[k * N + i];
        }
        if constexpr (N == 1) {
          target[pack] = values[0];
        } else {
          store<float, N>(target + pack * N, values);
        }
      }
    }
  }
}

#define DEFINE(name, T, D, N, PACKS) \
  KERNEL(512) rms_norm_backward_##name( \
      const D* dy, const T* past, const T* __restrict__ x, const T* __restrict__ weight, \
      const float* __restrict__ rstd, T* dx, float* __restrict__ partial, long long rows, \
      int hidden, int groupThreads) { \
    rms_norm_backward<T, D, N, PACKS>( \
        dy, past, x, weight, rstd, dx, partial, rows, hidden, groupThreads); \
  }
DEFINE(bf16_x8, bf16, bf16, 8, 1)
DEFINE(bf16_x1, bf16, bf16, 1, 1)
DEFINE(bf16_f32_x8, bf16, float, 8, 1)
DEFINE(bf16_f32_x1, bf16, float, 1, 1)
DEFINE(f32_x4, float, float, 4, 1)
DEFINE(f32_x1, float, float, 1, 1)
DEFINE(bf16_wide_x8, bf16, bf16, 8, 2)
DEFINE(bf16_wide_x1, bf16, bf16, 1, 8)
DEFINE(bf16_f32_wide_x8, bf16, float, 8, 2)
DEFINE(bf16_f32_wide_x1, bf16, float, 1, 8)
DEFINE(f32_wide_x4, float, float, 4, 4)
DEFINE(f32_wide_x1, float, float, 1, 8)
#undef DEFINE

// Adds the sums of the columns. A block has 32 columns and 32 threads for each, so that a warp reads 128 bytes of a
// row and the rows are read by many threads at once.
KERNEL(1024) column_sums(
    const float* __restrict__ values, int rows, int columns, float* __restrict__ target) {
  float* shared = shared_as<float>();
  int lane = threadIdx.x % 32;
  int warp = threadIdx.x / 32;
  int column = blockIdx.x * 32 + lane;
  float sum = 0;
  if (column < columns) {
    for (int row = warp; row < rows; row += 32) {
      sum += values[(long long)row * columns + column];
    }
  }
  shared[threadIdx.x] = sum;
  __syncthreads();
  if (warp == 0 && column < columns) {
    for (int other = 1; other < 32; other++) {
      sum += shared[other * 32 + lane];
    }
    target[column] += sum;
  }
}

// ---- Rotary positions, in halves. One thread a pack of pairs; the heads of a row lie side by side in a block, so
// that cosines and sines come from the nearest cache.

template <typename T, int N>
static __device__ __forceinline__ void rotary(
    T* qkv, const float* cosines, const float* sines, int rows, int sequence, int heads, int packs,
    int width, float direction) {
  unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned ofRow = (unsigned)heads * packs;
  unsigned row = item / ofRow;
  if (row >= (unsigned)rows) {
    return;
  }
  unsigned inRow = item - row * ofRow;
  unsigned head = inRow / packs;
  unsigned pack = inRow - head * packs;
  int half = packs * N;
  T* first = qkv + (long long)row * width + head * 2 * half + pack * N;
  long long angle = (long long)(row % sequence) * half + pack * N;
  Pack<T, N> a;
  Pack<T, N> b;
  Pack<float, N> cosine;
  Pack<float, N> sine;
  a.read(first);
  b.read(first + half);
  cosine.read(cosines + angle);
  sine.read(sines + angle);
  float low[N];
  float high[N];
#pragma unroll
  for (int i = 0; i < N; i++) {
    float s = sine.get(i) * direction;
    low[i] = a.get(i) * cosine.get(i) - b.get(i) * s;
    high[i] = b.get(i) * cosine.get(i) + a.get(i) * s;
  }
  store<T, N>(first, low);
  store<T, N>(first + half, high);
}

#define DEFINE(name, T, N) \
  KERNEL(256) rotary_##name( \
      T* __restrict__ qkv, const float* __restrict__ cosines, const float* __restrict__ sines, \
      int rows, int sequence, int heads, int packs, int width, float direction) { \
    rotary<T, N>(qkv, cosines, sines, rows, sequence, heads, packs, width, direction); \
  }
FOR_TYPES(DEFINE)
#undef DEFINE

// ---- SwiGLU. One thread a pack of a row.

template <typename T, int N>
static __device__ __forceinline__ void swiglu_forward(
    const T* gateUp, T* output, int rows, int packs) {
  unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned row = item / packs;
  if (row < (unsigned)rows) {
    const T* from = gateUp + ((long long)row * packs + item) * N; // 2 row packs + column packs
    Pack<T, N> gate;
    Pack<T, N> up;
    gate.read(from);
    up.read(from + (long long)packs * N);
    float values[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
      float g = gate.get(i);
      values[i] = g * sigmoid(g) * up.get(i);
    }
    store<T, N>(output + (long long)item * N, values);
  }
}

// Gate and up are replaced by their gradients; silu' = s (1 + g (1 - s)) = s + silu - silu s.
template <typename T, int N>
static __device__ __forceinline__ void swiglu_backward(
    T* gateUp, const T* gradient, int rows, int packs) {
  unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned row = item / packs;
  if (row < (unsigned)rows) {
    T* place = gateUp + ((long long)row * packs + item) * N;
    T* placeOfUp = place + (long long)packs * N;
    Pack<T, N> gate;
    Pack<T, N> up;
    Pack<T, N> behind;
    gate.read(place);
    up.read(placeOfUp);
    behind.read(gradient + (long long)item * N);
    float dGate[N];
    float dUp[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
      float g = gate.get(i);
      float d = behind.get(i);
      float s = sigmoid(g);
      float silu = g * s;
      dGate[i] = d * up.get(i) * (s + (silu - silu * s));
      dUp[i] = d * silu;
    }
    store<T, N>(place, dGate);
    store<T, N>(placeOfUp, dUp);
  }
}

#define DEFINE(name, T, N) \
  KERNEL(256) swiglu_forward_##name( \
      const T* __restrict__ gateUp, T* __restrict__ output, int rows, int packs) { \
    swiglu_forward<T, N>(gateUp, output, rows, packs); \
  } \
  KERNEL(256) swiglu_backward_##name( \
      T* __restrict__ gateUp, const T* __restrict__ gradient, int rows, int packs) { \
    swiglu_backward<T, N>(gateUp, gradient, rows, packs); \
  }
FOR_TYPES(DEFINE)
#undef DEFINE

// ---- Cross entropy with its gradient. A block a row: one read for the largest logit and the sum at once, then
// one read and write for the gradient.

// The sum of 2^(x log2 e - reference) over some logits; the reference is about the largest x log2 e.
struct Exponentials {
  float reference;
  float sum;
};

static __device__ __forceinline__ Exponentials joined(Exponentials a, Exponentials b) {
  float reference = fmaxf(a.reference, b.reference);
  return {
      reference,
      a.sum * power2(a.reference - reference) + b.sum * power2(b.reference - reference)};
}

template <typename T, int N>
static __device__ __forceinline__ void cross_entropy(
    T* logits, const int* __restrict__ targets, double* __restrict__ losses, int vocab,
    float scale) {
  float* shared = shared_as<float>();
  int target = targets[blockIdx.x];
  T* row = logits + (long long)blockIdx.x * vocab;
  int packs = vocab / N;
  if (target < 0 || target >= vocab) {
    float zeros[N] = {};
    for (int pack = threadIdx.x; pack < packs; pack += blockDim.x) {
      store<T, N>(row + pack * N, zeros);
    }
    if (threadIdx.x == 0) {
      losses[blockIdx.x] = target == -100 ? 0 : __uint_as_float(0x7fc00000u);
    }
    return;
  }
  float logit = widened(row[target]); // before any gradient takes its place: there is a barrier between
  // Not minus infinity, as the difference of two of these is no number.
  Exponentials all = {-LARGEST, 0};
#pragma unroll 2
  for (int pack = threadIdx.x; pack < packs; pack += blockDim.x) {
    Pack<T, N> values;
    values.read(row + pack * N);
    float largest = values.get(0);
#pragma unroll
    for (int i = 1; i < N; i++) {
      largest = fmaxf(largest, values.get(i)); // passes over a NaN, which the sum finds
    }
    float reference = fmaxf(all.reference, largest * LOG2_E);
    float sum = 0;
#pragma unroll
    for (int i = 0; i < N; i++) {
      sum += power2(fmaf(values.get(i), LOG2_E, -reference));
    }
    all.sum = all.sum * power2(all.reference - reference) + sum;
    all.reference = reference;
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    Exponentials other;
    other.reference = __shfl_xor_sync(ALL_LANES, all.reference, distance);
    other.sum = __shfl_xor_sync(ALL_LANES, all.sum, distance);
    all = joined(all, other);
  }
  if (threadIdx.x % 32 == 0) {
    shared[threadIdx.x / 16] = all.reference;
    shared[threadIdx.x / 16 + 1] = all.sum;
  }
  __syncthreads();
  all = {shared[0], shared[1]};
  for (int warp = 1; warp < (int)blockDim.x / 32; warp++) {
    all = joined(all, {shared[2 * warp], shared[2 * warp + 1]});
  }
  if (threadIdx.x == 0) {
    // Back from base 2 by the very constant that was multiplied by.
    double largest = (double)all.reference * (1.0 / (double)LOG2_E);
    losses[blockIdx.x] = (double)logf(all.sum) + (largest - (double)logit);
  }
  float factor = scale / all.sum;
#pragma unroll 2
  for (int pack = threadIdx.x; pack < packs; pack += blockDim.x) {
    Pack<T, N> values;
    values.read(row + pack * N);
    float gradient[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
      gradient[i] = power2(fmaf(values.get(i), LOG2_E, -all.reference)) * factor;
      if (pack * N + i == target) {
        gradient[i] -= scale;
      }
    }
    store<T, N>(row + pack * N, gradient);
  }
}

#define DEFINE(name, T, N) \
  KERNEL(512) cross_entropy_##name( \
      T* __restrict__ logits, const int* __restrict__ targets, double* __restrict__ losses, \
      int vocab, float scale) { \
    cross_entropy<T, N>(logits, targets, losses, vocab, scale); \
  }
FOR_TYPES(DEFINE)
#undef DEFINE
