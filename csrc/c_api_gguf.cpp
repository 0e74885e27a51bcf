// C ABI of the GGUF reader: one pass over a string array, the only header loop too long for Python.
#include <stdint.h>

#include "pyllm_kernels.h"

namespace {

constexpr int64_t kLengthBytes = 8;

// GGUF is little endian and nothing in it is aligned.
uint64_t load_u64(const uint8_t* p) {
  uint64_t value = 0;
  for (int i = 0; i < kLengthBytes; ++i) value |= static_cast<uint64_t>(p[i]) << (8 * i);
  return value;
}

}  // namespace

extern "C" int64_t pyllm_gguf_strings(const uint8_t* data, int64_t size, int64_t offset,
                                      int64_t count, int64_t max_len, int64_t* ends_out) {
  if (data == nullptr || size < 0 || offset < 0 || offset > size || count < 0 || max_len < 0)
    return INT64_MIN;
  int64_t position = offset;
  for (int64_t i = 0; i < count; ++i) {
    // Each step compares with the bytes left, so no sum can pass size and nothing can wrap.
    if (size - position < kLengthBytes) return -1 - position;
    const uint64_t length = load_u64(data + position);
    const int64_t left = size - position - kLengthBytes;
    if (length > static_cast<uint64_t>(max_len) || length > static_cast<uint64_t>(left))
      return -1 - position;
    position += kLengthBytes + static_cast<int64_t>(length);
    if (ends_out != nullptr) ends_out[i] = position;
  }
  return position;
}
