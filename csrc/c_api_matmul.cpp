// C ABI of packed weights: instruction sets, packing, matrix multiplication.
#include "c_api_status.h"
#include "isa/select.h"
#include "kernels/table.h"
#include "packing.h"
#include "runtime/memory.h"
#include "runtime/thread_pool.h"

namespace pyllm {
namespace {

constexpr int64_t kTilesPerChunk = 2;  // the widest register tile: 32 rows

int64_t tile_count(const PackedTensor& tensor) { return (tensor.rows + kTileRows - 1) / kTileRows; }

// Checks a packed matrix and describes it. Writers and readers share the description, so data loses
// its const.
int32_t describe(int32_t type, int64_t rows, int64_t cols, const void* packed, int64_t bytes,
                 PackedTensor* tensor) {
  const int64_t needed = packed_bytes(type, rows, cols);
  if (needed < 0) return fail(PYLLM_BAD_SHAPE, "this shape cannot be packed");
  if (const int32_t status = check_buffer("packed", packed, bytes, needed)) return status;
  if (reinterpret_cast<uintptr_t>(packed) % 64 != 0) {
    return fail(PYLLM_BAD_ARGUMENT, "packed is not 64-byte aligned");
  }
  *tensor = {type, rows, cols, packed_tile_bytes(type, cols),
             static_cast<uint8_t*>(const_cast<void*>(packed))};
  return PYLLM_OK;
}

struct PackJob {
  ThreadPool* pool;
  PackedTensor tensor;
  uint8_t* rows;  // the file's layout
  bool pack;
};

void pack_chunks(void* context, int) {
  const PackJob& job = *static_cast<PackJob*>(context);
  const int64_t n_tiles = tile_count(job.tensor);
  for (;;) {
    const int64_t tile = job.pool->next_chunk();
    if (tile >= n_tiles) return;
    if (job.pack) {
      pack_tiles(job.tensor, job.rows, tile, tile + 1);
    } else {
      unpack_tiles(job.tensor, job.rows, tile, tile + 1);
    }
  }
}

int32_t convert(int32_t type, int64_t n_rows, int64_t cols, const void* rows, int64_t rows_bytes,
                const void* packed, int64_t packed_size, int32_t threads, bool pack) {
  return guarded([&]() -> int32_t {
    int64_t needed;
    if (const int32_t status = check_matrix(type, n_rows, cols, &needed)) return status;
    if (const int32_t status = check_threads(threads)) return status;
    if (const int32_t status = check_buffer("data", rows, rows_bytes, needed)) return status;
    PackJob job = {nullptr, {}, static_cast<uint8_t*>(const_cast<void*>(rows)), pack};
    if (const int32_t status = describe(type, n_rows, cols, packed, packed_size, &job.tensor)) {
      return status;
    }
    kernels();  // reports a wrong PYLLM_ISA here: a job cannot
    ThreadPool pool(threads);
    job.pool = &pool;
    pool.run(pack_chunks, &job);
    return PYLLM_OK;
  });
}

struct MatmulJob {
  ThreadPool* pool;
  const KernelTable* table;
  PackedTensor weights;
  const float* x;
  int64_t n_tokens;
  float* y;
  uint8_t* act;
  ActLayout layout;
};

void matmul_chunks(void* context, int) {
  const MatmulJob& job = *static_cast<MatmulJob*>(context);
  const PackedTensor& w = job.weights;
  const ActKind kind = act_kind(w.type);
  for (int64_t t = job.pool->next_chunk(); t < job.n_tokens; t = job.pool->next_chunk()) {
    job.table->quantize_act(kind, job.x + t * w.cols, w.cols, job.act + t * job.layout.token_stride,
                            job.layout.block_stride);
  }
  job.pool->barrier();
  const int64_t n_tiles = tile_count(w);
  for (;;) {
    const int64_t begin = job.pool->next_chunk() * kTilesPerChunk;
    if (begin >= n_tiles) return;
    const int64_t end = begin + kTilesPerChunk < n_tiles ? begin + kTilesPerChunk : n_tiles;
    const MatmulArgs args = {&w,
                             begin,
                             end,
                             job.act,
                             job.layout.token_stride,
                             job.layout.block_stride,
                             job.n_tokens,
                             job.y + begin * kTileRows,
                             w.rows};
    job.table->matmul(&args);
  }
}

int32_t multiply(MatmulJob job, int32_t threads) {
  const ActKind kind = act_kind(job.weights.type);
  int64_t unused;  // n tokens need no more than n times the bytes of one
  if (!multiply_sizes(job.n_tokens, act_layout(kind, job.weights.cols, 1).bytes, &unused)) {
    return fail(PYLLM_BAD_ARGUMENT, "tokens times cols overflows");
  }
  job.layout = act_layout(kind, job.weights.cols, job.n_tokens);
  const Buffer act(static_cast<size_t>(job.layout.bytes));
  ThreadPool pool(threads);
  job.act = act.data();
  job.pool = &pool;
  pool.run(matmul_chunks, &job);
  return PYLLM_OK;
}

}  // namespace
}  // namespace pyllm

using pyllm::fail;
using pyllm::guarded;

extern "C" const char* pyllm_isa_name(void) {
  const char* name = nullptr;
  guarded([&] {
    name = pyllm::kernels().name;
    return PYLLM_OK;
  });
  return name;
}

extern "C" const char* pyllm_isa_supported(int32_t index) {
  static const std::vector<std::string> names = pyllm::supported_isas();
  const size_t i = static_cast<size_t>(index);  // a negative index becomes huge
  return i < names.size() ? names[i].c_str() : nullptr;
}

extern "C" int32_t pyllm_select_isa(const char* name) {
  return guarded([&]() -> int32_t {
    if (!name) return fail(PYLLM_BAD_ARGUMENT, "name is null");
    const std::string reason = pyllm::missing_feature(name);
    if (!reason.empty()) return fail(PYLLM_BAD_ISA, reason);
    pyllm::set_isa(name);
    return PYLLM_OK;
  });
}

extern "C" int64_t pyllm_packed_bytes(int32_t type, int64_t rows, int64_t cols) {
  int64_t bytes = -1;
  guarded([&] {
    bytes = pyllm::packed_bytes(type, rows, cols);
    return PYLLM_OK;
  });
  return bytes;
}

extern "C" int32_t pyllm_pack(int32_t type, const void* data, int64_t data_bytes, int64_t rows,
                              int64_t cols, void* packed, int64_t packed_bytes, int32_t threads) {
  return pyllm::convert(type, rows, cols, data, data_bytes, packed, packed_bytes, threads, true);
}

extern "C" int32_t pyllm_unpack(int32_t type, const void* packed, int64_t packed_bytes,
                                int64_t rows, int64_t cols, void* data, int64_t data_bytes,
                                int32_t threads) {
  return pyllm::convert(type, rows, cols, data, data_bytes, packed, packed_bytes, threads, false);
}

extern "C" int32_t pyllm_matmul(int32_t type, const void* packed, int64_t packed_bytes,
                                int64_t rows, int64_t cols, const float* x, int64_t tokens,
                                float* y, int32_t threads) {
  return guarded([&]() -> int32_t {
    int64_t unused;
    if (const int32_t status = pyllm::check_matrix(type, rows, cols, &unused)) return status;
    if (const int32_t status = pyllm::check_threads(threads)) return status;
    pyllm::MatmulJob job = {};
    if (const int32_t status =
            pyllm::describe(type, rows, cols, packed, packed_bytes, &job.weights)) {
      return status;
    }
    if (!pyllm::multiply_sizes(tokens, rows, &unused) ||
        !pyllm::multiply_sizes(tokens, cols, &unused)) {
      return fail(PYLLM_BAD_ARGUMENT, "tokens is negative or overflows");
    }
    if ((!x && tokens * cols > 0) || (!y && tokens * rows > 0)) {
      return fail(PYLLM_BAD_ARGUMENT, "x or y is null");
    }
    job.table = &pyllm::kernels();
    job.x = x;
    job.n_tokens = tokens;
    job.y = y;
    return pyllm::multiply(job, threads);
  });
}
