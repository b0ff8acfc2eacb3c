// The driver, NVRTC and cuBLAS with the signatures of their headers and host memory for a GPU's. Each function
// refuses what it should not be given, so that a binding with arguments in another order or of another size fails.
#include <cstdlib>
#include <cstring>
#include <string>

typedef unsigned long long CUdeviceptr;
static const int INVALID_VALUE = 1, INVALID_DEVICE = 101, INVALID_CONTEXT = 201, NOT_READY = 600;
static int context, stream, event, timed[2], module_, function;
static long long last[12];
static thread_local void* current;

// What a test may change: results of cuInit and cuDeviceGetCount, the driver's CUDA, the capability, modules in memory.
static int started = 0, counted = 0, version = 12080, capability = 91, modules = 0;
static bool ready() { return current == &context; }

extern "C" {

int* fake(const char* name) {
  std::string what = name;
  return what == "cuInit" ? &started : what == "cuDeviceGetCount" ? &counted : what == "version" ? &version
       : what == "capability" ? &capability : what == "modules" ? &modules : nullptr;
}
int cuInit(unsigned flags) { return flags == 0 ? started : INVALID_VALUE; }
int cuDriverGetVersion(int* out) { *out = version; return 0; }
int cuDeviceGetCount(int* count) { *count = 2; return counted; }
int cuDeviceGet(int* device, int ordinal) {
  if (ordinal < 0 || ordinal > 1) return INVALID_DEVICE;
  *device = 40 + ordinal;
  return 0;
}
int cuDeviceGetName(char* name, int length, int device) {
  if (length < 16 || device < 40) return INVALID_VALUE;
  strcpy(name, "NVIDIA Fake");
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  if (device < 40) return INVALID_VALUE;
  *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : -1;
  return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  if (device < 40) return INVALID_VALUE;
  *bytes = 81ull << 30;
  return 0;
}
int cuDevicePrimaryCtxRetain(void** out, int device) {
  if (device < 40) return INVALID_VALUE;
  *out = &context;
  return 0;
}
int cuCtxSetCurrent(void* given) {
  if (given != &context) return INVALID_VALUE;
  current = given;
  return 0;
}
int cuMemGetInfo_v2(size_t* free, size_t* total) {
  if (!ready()) return INVALID_CONTEXT;
  *free = 60ull << 30;
  *total = 81ull << 30;
  return 0;
}
int cuStreamCreate(void** out, unsigned flags) { if (!ready()) return INVALID_CONTEXT;
  if (flags != 1) return INVALID_VALUE;
  *out = &stream;
  return 0;
}
int cuEventCreate(void** out, unsigned flags) { if (!ready()) return INVALID_CONTEXT;
  static int next = 0;
  if (flags != 2 && flags != 0) return INVALID_VALUE;
  *out = flags == 2 ? (void*)&event : (void*)&timed[next++ % 2];
  return 0;
}
static bool is_timed(void* given) { return given == &timed[0] || given == &timed[1]; }
static bool is_event(void* given) { return given == &event || is_timed(given); }
int cuEventElapsedTime(float* milliseconds, void* from, void* to) { if (!ready()) return INVALID_CONTEXT;
  if (!is_timed(from) || !is_timed(to)) return INVALID_VALUE;
  *milliseconds = from == &timed[0] && to == &timed[1] ? 1250.f : -1250.f;
  return 0;
}
static bool is_stream(void* given) { return given == nullptr || given == &stream; }
int cuEventRecord(void* e, void* s) { if (!ready()) return INVALID_CONTEXT; return is_event(e) && is_stream(s) ? 0 : INVALID_VALUE; }
int cuEventQuery(void* e) { if (!ready()) return INVALID_CONTEXT; return e == &event ? NOT_READY : INVALID_VALUE; }
int cuEventSynchronize(void* e) { if (!ready()) return INVALID_CONTEXT; return is_event(e) ? 0 : INVALID_VALUE; }
int cuEventDestroy_v2(void* e) { if (!ready()) return INVALID_CONTEXT; return is_event(e) ? 0 : INVALID_VALUE; }
int cuStreamWaitEvent(void* s, void* e, unsigned flags) { if (!ready()) return INVALID_CONTEXT;
  return is_stream(s) && e == &event && flags == 0 ? 0 : INVALID_VALUE;
}
int cuStreamSynchronize(void* s) { if (!ready()) return INVALID_CONTEXT; return is_stream(s) ? 0 : INVALID_VALUE; }
int cuStreamDestroy_v2(void* s) { if (!ready()) return INVALID_CONTEXT; return s == &stream ? 0 : INVALID_VALUE; }
int cuMemAlloc_v2(CUdeviceptr* out, size_t bytes) { if (!ready()) return INVALID_CONTEXT; *out = (CUdeviceptr)malloc(bytes); return 0; }
int cuMemFree_v2(CUdeviceptr address) { if (!ready()) return INVALID_CONTEXT; free((void*)address); return 0; }
int cuMemHostAlloc(void** out, size_t bytes, unsigned flags) { if (!ready()) return INVALID_CONTEXT;
  if (flags != 1) return INVALID_VALUE;
  *out = malloc(bytes);
  return 0;
}
int cuMemFreeHost(void* memory) { if (!ready()) return INVALID_CONTEXT; free(memory); return 0; }
int cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t n) { if (!ready()) return INVALID_CONTEXT; memcpy((void*)to, from, n); return 0; }
int cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t n) { if (!ready()) return INVALID_CONTEXT; memcpy(to, (void*)from, n); return 0; }
int cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t n, void* s) { if (!ready()) return INVALID_CONTEXT;
  if (!is_stream(s)) return INVALID_VALUE;
  memcpy((void*)to, from, n);
  return 0;
}
int cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t n, void* s) { if (!ready()) return INVALID_CONTEXT;
  if (!is_stream(s)) return INVALID_VALUE;
  memcpy(to, (void*)from, n);
  return 0;
}
int cuModuleLoadData(void** out, const void* image) { if (!ready()) return INVALID_CONTEXT;
  if (memcmp(image, "cubin", 5) != 0 && memcmp(image, "ptx", 3) != 0) return 200;
  *out = &module_;
  modules++;
  return 0;
}
int cuModuleUnload(void* given) {
  if (given != &module_ || !ready()) return INVALID_VALUE;
  modules--;
  return 0;
}
int cuModuleGetFunction(void** out, void* given, const char* name) { if (!ready()) return INVALID_CONTEXT;
  if (given != &module_ || strcmp(name, "unknown") == 0) return 500;
  *out = &function;
  return 0;
}
int cuLaunchKernel(void* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void* s, void** arguments, void** extra) { if (!ready()) return INVALID_CONTEXT;
  if (f != &function || !is_stream(s) || extra != nullptr) return INVALID_VALUE;
  long long seen[] = {gx, gy, gz, bx, by, bz, shared, *(long long*)arguments[0], *(int*)arguments[1]};
  memcpy(last, seen, sizeof seen);
  return 0;
}
int cuGetErrorString(int code, const char** text) {
  if (code == 500) { *text = "named symbol not found"; return 0; }
  if (code == 804) { *text = "forward compatibility was attempted on non supported HW"; return 0; }
  *text = nullptr;
  return INVALID_VALUE;
}
long long* last_launch() { return last; }

// --- NVRTC

struct Program { std::string source, name, log, cubin; };
int nvrtcCreateProgram(Program** out, const char* source, const char* name, int headers, const char* const* h,
                       const char* const* n) {
  if (headers != 0 || h != nullptr || n != nullptr) return 3;
  *out = new Program{source, name, "", ""};
  return 0;
}
int nvrtcCompileProgram(Program* program, int count, const char* const* options) {
  std::string all;
  for (int i = 0; i < count; i++) all += std::string(options[i]) + " ";
  if (program->source.find("no such type") != std::string::npos) {
    program->log = program->name + "(1): error: told so, with " + all;
    return 6;
  }
  program->cubin = (all.find("=sm_") != std::string::npos ? "cubin " : "ptx ") + all;
  return 0;
}
int nvrtcGetCUBINSize(Program* program, size_t* size) { *size = program->cubin.size(); return 0; }
int nvrtcGetCUBIN(Program* program, char* out) { memcpy(out, program->cubin.data(), program->cubin.size()); return 0; }
int nvrtcGetPTXSize(Program* program, size_t* size) { *size = program->cubin.size() + 1; return 0; }
int nvrtcGetPTX(Program* program, char* out) { strcpy(out, program->cubin.c_str()); return 0; }
int nvrtcGetNumSupportedArchs(int* count) { *count = 3; return 0; }
int nvrtcGetSupportedArchs(int* out) { out[0] = 80; out[1] = 90; out[2] = 91; return 0; }
int nvrtcGetProgramLogSize(Program* program, size_t* size) { *size = program->log.size() + 1; return 0; }
int nvrtcGetProgramLog(Program* program, char* out) { strcpy(out, program->log.c_str()); return 0; }
int nvrtcDestroyProgram(Program** program) { delete *program; *program = nullptr; return 0; }
const char* nvrtcGetErrorString(int code) { return code == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR"; }

// --- cuBLAS

static int blas;
int cublasCreate_v2(void** handle) { *handle = &blas; return 0; }
int cublasDestroy_v2(void* handle) { return handle == &blas ? 0 : 7; }
static float element(const void* memory, int type, long index) {
  if (type == 0) return ((const float*)memory)[index];
  unsigned bits = (unsigned)((const unsigned short*)memory)[index] << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
int cublasGemmEx(void* handle, int transa, int transb, int m, int n, int k, const void* alpha, const void* a,
                 int atype, int lda, const void* b, int btype, int ldb, const void* beta, void* c, int ctype,
                 int ldc, int compute, int algorithm) {
  if (handle != &blas || ctype != 0 || compute != 68 || algorithm != -1 || atype != btype || ldc < m) return 7;
  if (lda < (transa ? k : m) || ldb < (transb ? n : k)) return 7;
  for (int i = 0; i < m; i++) {
    for (int j = 0; j < n; j++) {
      double sum = 0;
      for (int l = 0; l < k; l++) {
        sum += (double)element(a, atype, transa ? (long)i * lda + l : (long)l * lda + i) *
               element(b, btype, transb ? (long)l * ldb + j : (long)j * ldb + l);
      }
      float* target = (float*)c + (long)j * ldc + i;
      float before = *(const float*)beta == 0 ? 0 : *(const float*)beta * *target;
      *target = (float)(before + *(const float*)alpha * sum);
    }
  }
  return 0;
}
}
