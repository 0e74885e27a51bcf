// Four-bit floats (E2M1) and the eight-bit scales that go with them.
#ifndef PYLLM_CSRC_FORMATS_FP4_H_
#define PYLLM_CSRC_FORMATS_FP4_H_

#include <stdint.h>

#include "formats/half.h"

namespace pyllm {

// Twice the E2M1 value, so that all are integers; scales below are halved to match.
constexpr int8_t kFp4Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Code of the nearest value to t, in the table's doubled units.
static inline int fp4_nearest(float t) {
  constexpr float kMidpoints[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5.0f, 7.0f, 10.0f};
  int code = 0;
  for (const float midpoint : kMidpoints) code += (t < 0.0f ? -t : t) > midpoint ? 1 : 0;
  return t < 0.0f ? code | 8 : code;
}

// Half of 2^(e - 127); e = 0 and 1 are subnormal floats.
static inline float e8m0_half(uint8_t e) {
  return float_from_bits(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23);
}

// Half of an unsigned E4M3 (bias 7). The NaN code 0x7f counts as zero; the sign bit is ignored.
static inline float ue4m3_half(uint8_t code) {
  if (code == 0 || code == 0x7f) return 0.0f;
  const uint32_t exponent = (code >> 3) & 15u, mantissa = code & 7u;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  return float_from_bits((exponent - 8 + 127) << 23 | mantissa << 20);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_FP4_H_
