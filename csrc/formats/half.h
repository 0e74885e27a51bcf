// 16-bit floats in software: exact, branch-free (so loops over them vectorise) and the same on
// every CPU.
#ifndef PYLLM_CSRC_FORMATS_HALF_H_
#define PYLLM_CSRC_FORMATS_HALF_H_

#include <stdint.h>
#include <string.h>

namespace pyllm {

static inline float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// IEEE binary16 -> binary32. Always exact; NaN payloads are kept.
static inline float half_to_float(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t magnitude = (half & 0x7fffu) << 13;
  // Rebias the exponent 15 -> 127; Inf and NaN go from 31 to 255, another 112 up.
  const uint32_t special = magnitude >= 0x0f800000u ? 112u << 23 : 0u;
  const uint32_t normal = magnitude + (112u << 23) + special;
  // A subnormal is mantissa * 2^-24: give it the implicit bit of 2^-14, then subtract that bit.
  const float subnormal = float_from_bits(magnitude + (113u << 23)) - float_from_bits(113u << 23);
  const uint32_t bits = magnitude < 0x00800000u ? float_bits(subnormal) : normal;
  return float_from_bits(sign | bits);
}

// binary32 -> binary16, nearest even; overflow (from 65520 up) gives Inf, NaN stays a quiet NaN.
static inline uint16_t float_to_half(float value) {
  const uint32_t bits = float_bits(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  }
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5 leaves mantissa steps of 2^-24, so the FPU does the rounding.
    const uint32_t rounded = float_bits(float_from_bits(magnitude) + 0.5f);
    return static_cast<uint16_t>(sign | (rounded - 0x3f000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((magnitude - (112u << 23) + 0xfffu + odd) >> 13));
}

// bfloat16 is the upper half of a float.
static inline float bf16_to_float(uint16_t value) {
  return float_from_bits(static_cast<uint32_t>(value) << 16);
}

// binary32 -> bfloat16, nearest even; NaN stays a quiet NaN.
static inline uint16_t float_to_bf16(float value) {
  const uint32_t bits = float_bits(value);
  const uint32_t quiet = (bits >> 16) | 0x40u;
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_HALF_H_
