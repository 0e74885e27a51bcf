#include "c_api_status.h"

#include <limits>

#include "runtime/thread_pool.h"

namespace pyllm {
namespace {

thread_local std::string last_error;

}  // namespace

int32_t fail(pyllm_status status, const std::string& message) {
  last_error = message;
  return status;
}

bool multiply_sizes(int64_t a, int64_t b, int64_t* product) {
  if (a < 0 || b < 0 || (b != 0 && a > std::numeric_limits<int64_t>::max() / b)) return false;
  *product = a * b;
  return true;
}

int32_t check_matrix(int32_t type, int64_t rows, int64_t cols, int64_t* bytes) {
  const FormatInfo* info = format_info(type);
  if (!info) return fail(PYLLM_BAD_TYPE, "type " + std::to_string(type) + " is not a weight type");
  if (!format_ready(type)) {
    return fail(PYLLM_NO_CODEBOOK, std::string(info->name) + " needs its codebook first");
  }
  if (rows < 0 || cols < 0) return fail(PYLLM_BAD_ARGUMENT, "rows or cols is negative");
  if (cols % info->block_elems != 0) {
    return fail(PYLLM_BAD_SHAPE, std::to_string(cols) + " columns are not a multiple of " +
                                     std::to_string(info->block_elems) + ", the block of " +
                                     info->name);
  }
  int64_t float_bytes;
  if (!multiply_sizes(rows, cols, &float_bytes) || !multiply_sizes(float_bytes, 4, &float_bytes) ||
      !multiply_sizes(rows, format_row_bytes(type, cols), bytes)) {
    return fail(PYLLM_BAD_ARGUMENT, "rows times cols overflows");
  }
  return PYLLM_OK;
}

int32_t check_threads(int32_t threads) {
  if (threads >= 1 && threads <= kMaxThreads) return PYLLM_OK;
  return fail(PYLLM_BAD_ARGUMENT, "threads is " + std::to_string(threads) + ", allowed: 1 to " +
                                      std::to_string(kMaxThreads));
}

int32_t check_buffer(const char* name, const void* data, int64_t bytes, int64_t needed) {
  if (bytes != needed) {
    return fail(PYLLM_BAD_ARGUMENT, std::string(name) + " has " + std::to_string(bytes) +
                                        " bytes, " + std::to_string(needed) + " are needed");
  }
  if (!data && needed > 0) return fail(PYLLM_BAD_ARGUMENT, std::string(name) + " is null");
  return PYLLM_OK;
}

}  // namespace pyllm

extern "C" int32_t pyllm_abi_version(void) { return PYLLM_ABI_VERSION; }

extern "C" const char* pyllm_last_error(void) { return pyllm::last_error.c_str(); }
