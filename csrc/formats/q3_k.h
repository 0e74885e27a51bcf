// Q3_K: 256 values of 3 bits; each sub-block of 16 has a signed 6-bit scale: d * scale * q, q in
// -4..3. Low 2 bits as in Q2_K; bit k of hmask[l] is value 32k + l's third bit (set: do not
// subtract 4).
#ifndef PYLLM_CSRC_FORMATS_Q3_K_H_
#define PYLLM_CSRC_FORMATS_Q3_K_H_

#include <stdint.h>

#include "formats/superblock.h"

namespace pyllm {

struct BlockQ3_K {
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;  // half
};
static_assert(sizeof(BlockQ3_K) == 110);

// Scale b is stored plus 32: low nibbles in bytes 0-7 (b and b + 8), bit pairs in bytes 8-11.
static inline int q3_k_scale(const uint8_t* scales, int b) {
  const int low = b < 8 ? scales[b] & 15 : scales[b - 8] >> 4;
  const int high = (scales[8 + b % 4] >> b / 4 * 2) & 3;
  return (low | high << 4) - 32;
}

static inline void dequantize(const BlockQ3_K& block, float* y) {
  const float d = half_to_float(block.d);
  for (int b = 0; b < 16; ++b) {
    const float scale = d * static_cast<float>(q3_k_scale(block.scales, b));
    const uint8_t* qs = block.qs + b / 8 * 32 + b % 2 * 16;
    const uint8_t* hmask = block.hmask + b % 2 * 16;
    const int shift = b / 2 % 4 * 2;
    for (int l = 0; l < 16; ++l) {
      const int third = (hmask[l] >> b / 2) & 1;
      y[16 * b + l] = scale * static_cast<float>(((qs[l] >> shift) & 3) + 4 * third - 4);
    }
  }
}

static inline void quantize(const float* x, BlockQ3_K* block) {
  const IntegerLevels levels = {-4.0f, 3.0f};
  const SuperScales fit = fit_super_scales(x, 16, levels, -32, 31);
  *block = {};
  block->d = fit.d;
  for (int b = 0; b < 16; ++b) {
    const int stored = fit.scale[b] + 32;
    uint8_t* low = &block->scales[b % 8];
    uint8_t* high = &block->scales[8 + b % 4];
    *low = static_cast<uint8_t>(*low | (stored & 15) << b / 8 * 4);
    *high = static_cast<uint8_t>(*high | stored >> 4 << b / 4 * 2);
    float q[16];
    const float scale = half_to_float(fit.d) * static_cast<float>(fit.scale[b]);
    to_levels(x + 16 * b, 16, inverse_or_zero(scale), levels, q);
    uint8_t* qs = block->qs + b / 8 * 32 + b % 2 * 16;
    uint8_t* hmask = block->hmask + b % 2 * 16;
    for (int l = 0; l < 16; ++l) {
      const int bits = static_cast<int>(q[l]) + 4;
      qs[l] = static_cast<uint8_t>(qs[l] | (bits & 3) << b / 2 % 4 * 2);
      hmask[l] = static_cast<uint8_t>(hmask[l] | bits >> 2 << b / 2);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q3_K_H_
