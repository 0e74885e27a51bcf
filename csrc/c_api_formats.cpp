// C ABI of the weight types: facts, encoding and decoding of rows.
#include <math.h>

#include "c_api_status.h"
#include "codebooks.h"
#include "formats.h"
#include "runtime/thread_pool.h"

namespace pyllm {
namespace {

// Rows of a matrix, one side floats and the other blocks, shared out over the pool in runs of rows.
struct RowJob {
  ThreadPool* pool;
  const FormatInfo* format;
  float* values;
  uint8_t* blocks;
  int64_t rows, cols, row_bytes;
  bool encode;
};

constexpr int64_t kRowsPerChunk = 16;

void convert_rows(void* context, int) {
  const RowJob& job = *static_cast<RowJob*>(context);
  for (;;) {
    const int64_t begin = job.pool->next_chunk() * kRowsPerChunk;
    if (begin >= job.rows) return;
    const int64_t end = begin + kRowsPerChunk < job.rows ? begin + kRowsPerChunk : job.rows;
    // Rows are whole blocks, so a run of rows is one long row.
    const int64_t n = (end - begin) * job.cols;
    float* values = job.values + begin * job.cols;
    uint8_t* blocks = job.blocks + begin * job.row_bytes;
    if (job.encode) {
      job.format->quantize_row(values, blocks, n);
    } else {
      job.format->dequantize_row(blocks, values, n);
    }
  }
}

int32_t convert(RowJob job, int32_t threads) {
  return guarded([&] {
    ThreadPool pool(threads);
    job.pool = &pool;
    job.row_bytes = format_row_bytes(job.format->id, job.cols);
    pool.run(convert_rows, &job);
    return PYLLM_OK;
  });
}

int32_t check_finite(const FormatInfo& format, const float* x, int64_t n) {
  if (format.block_elems == 1) return PYLLM_OK;  // the float types hold NaN and Inf
  for (int64_t i = 0; i < n; ++i) {
    if (!isfinite(x[i])) {
      return fail(PYLLM_BAD_VALUE, "value " + std::to_string(i) + " is NaN or infinite, which " +
                                       format.name + " cannot hold");
    }
  }
  return PYLLM_OK;
}

}  // namespace
}  // namespace pyllm

using pyllm::fail;
using pyllm::FormatInfo;
using pyllm::guarded;

extern "C" int32_t pyllm_type_at(int32_t index) {
  int count;
  const FormatInfo* formats = pyllm::all_formats(&count);
  return index >= 0 && index < count ? formats[index].id : -1;
}

extern "C" int32_t pyllm_type_info(int32_t type, pyllm_type* info) {
  return guarded([&] {
    const FormatInfo* format = pyllm::format_info(type);
    if (!format) return fail(PYLLM_BAD_TYPE, "type " + std::to_string(type) + " is unknown");
    if (!info) return fail(PYLLM_BAD_ARGUMENT, "info is null");
    *info = {format->id,
             format->block_elems,
             format->block_bytes,
             format->quantize_row ? 1 : 0,
             pyllm::codebook_size(type),
             format->name};
    return int32_t{PYLLM_OK};
  });
}

extern "C" int64_t pyllm_row_bytes(int32_t type, int64_t cols) {
  return pyllm::format_row_bytes(type, cols);
}

extern "C" int32_t pyllm_set_codebook(int32_t type, const int8_t* values, int64_t n) {
  return guarded([&]() -> int32_t {
    if (!pyllm::format_info(type)) {
      return fail(PYLLM_BAD_TYPE, "type " + std::to_string(type) + " is unknown");
    }
    if (!values) return fail(PYLLM_BAD_ARGUMENT, "values is null");
    switch (pyllm::set_codebook(type, values, n)) {
      case pyllm::CodebookResult::kSet:
        return PYLLM_OK;
      case pyllm::CodebookResult::kNoCodebook:
        return fail(PYLLM_BAD_TYPE, "type " + std::to_string(type) + " has no codebook");
      case pyllm::CodebookResult::kWrongSize:
        return fail(PYLLM_BAD_ARGUMENT, "the codebook has " + std::to_string(n) + " values, " +
                                            std::to_string(pyllm::codebook_size(type)) +
                                            " are needed");
      case pyllm::CodebookResult::kDifferent:
        break;
    }
    return fail(PYLLM_BAD_VALUE, "another codebook is already set");
  });
}

extern "C" int32_t pyllm_quantize(int32_t type, const float* x, int64_t rows, int64_t cols,
                                  void* out, int64_t out_bytes, int32_t threads) {
  return guarded([&]() -> int32_t {
    const FormatInfo* format = pyllm::format_info(type);
    if (format && !format->quantize_row) {
      return fail(PYLLM_NO_ENCODER, std::string(format->name) + " can be read but not written");
    }
    int64_t bytes;
    if (const int32_t status = pyllm::check_matrix(type, rows, cols, &bytes)) return status;
    if (const int32_t status = pyllm::check_threads(threads)) return status;
    if (const int32_t status = pyllm::check_buffer("out", out, out_bytes, bytes)) return status;
    if (!x && rows * cols > 0) return fail(PYLLM_BAD_ARGUMENT, "x is null");
    if (const int32_t status = pyllm::check_finite(*format, x, rows * cols)) return status;
    // convert() reads through this pointer when it encodes.
    float* values = const_cast<float*>(x);
    return pyllm::convert(
        {nullptr, format, values, static_cast<uint8_t*>(out), rows, cols, 0, true}, threads);
  });
}

extern "C" int32_t pyllm_dequantize(int32_t type, const void* data, int64_t data_bytes,
                                    int64_t rows, int64_t cols, float* out, int64_t out_bytes,
                                    int32_t threads) {
  return guarded([&]() -> int32_t {
    int64_t bytes;
    if (const int32_t status = pyllm::check_matrix(type, rows, cols, &bytes)) return status;
    if (const int32_t status = pyllm::check_threads(threads)) return status;
    if (const int32_t status = pyllm::check_buffer("data", data, data_bytes, bytes)) return status;
    const int64_t float_bytes = rows * cols * 4;  // check_matrix has seen that it fits
    if (const int32_t status = pyllm::check_buffer("out", out, out_bytes, float_bytes)) {
      return status;
    }
    // convert() reads through this pointer when it decodes.
    uint8_t* blocks = static_cast<uint8_t*>(const_cast<void*>(data));
    return pyllm::convert({nullptr, pyllm::format_info(type), out, blocks, rows, cols, 0, false},
                          threads);
  });
}
