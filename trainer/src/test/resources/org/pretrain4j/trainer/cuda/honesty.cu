// Kernels with mistakes, each of which the emulation must find.

// Right: the values of the threads in reverse.
KERNEL(64) with_barrier(float* output) {
  float* shared = shared_as<float>();
  shared[threadIdx.x] = threadIdx.x;
  __syncthreads();
  output[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

KERNEL(64) without_barrier(float* output) {
  float* shared = shared_as<float>();
  shared[threadIdx.x] = threadIdx.x;
  output[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

// The second sum may overwrite what some warp has yet to read of the first.
KERNEL(64) without_barrier_between_sums(float* output) {
  float* shared = shared_as<float>();
  float sum = 0;
  for (int i = 1; i <= 2; i++) {
    sum += i * group_sum((float)i, 64, shared);
  }
  output[threadIdx.x] = sum;
}

KERNEL(64) barrier_of_some(float* output) {
  if (threadIdx.x < 40) {
    __syncthreads();
  }
  output[threadIdx.x] = 1;
}

KERNEL(64) shuffle_of_some(float* output) {
  float value = 1;
  if (threadIdx.x % 2 == 0) {
    value = __shfl_xor_sync(ALL_LANES, value, 2);
  }
  output[threadIdx.x] = value;
}

KERNEL(64) not_aligned(float* output) {
  Pack<float, 4> pack;
  pack.read(output + 1);
  pack.write(output);
}

KERNEL(64) behind_shared_memory(float* output) {
  shared_as<float>()[threadIdx.x] = 1;
  output[threadIdx.x] = 1;
}
