// The 12 bytes with which Q4_K and Q5_K hold eight 6-bit scales and eight 6-bit minimums:
// bytes 0-3 scales 0-3, bytes 4-7 minimums 0-3, bytes 8-11 the low nibbles of scales and minimums
// 4-7, whose upper two bits sit on top of bytes 0-7.
#ifndef PYLLM_CSRC_FORMATS_SCALES6_H_
#define PYLLM_CSRC_FORMATS_SCALES6_H_

#include <stdint.h>

namespace pyllm {

static inline int scale6(const uint8_t* packed, int b) {
  if (b < 4) return packed[b] & 63;
  return (packed[b + 4] & 15) | (packed[b - 4] >> 6) << 4;
}

static inline int min6(const uint8_t* packed, int b) {
  if (b < 4) return packed[b + 4] & 63;
  return packed[b + 4] >> 4 | (packed[b] >> 6) << 4;
}

static inline void pack_scales6(const int* scale, const int* min, uint8_t* packed) {
  for (int b = 0; b < 4; ++b) {
    packed[b] = static_cast<uint8_t>(scale[b] | scale[b + 4] >> 4 << 6);
    packed[b + 4] = static_cast<uint8_t>(min[b] | min[b + 4] >> 4 << 6);
    packed[b + 8] = static_cast<uint8_t>((scale[b + 4] & 15) | (min[b + 4] & 15) << 4);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_SCALES6_H_
