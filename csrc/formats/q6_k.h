// Q6_K: 256 values of 6 bits; each sub-block of 16 has an 8-bit scale: d * scale * (q - 32).
// Each half of 128 values is four groups of 32: group g's low nibbles are in 32 bytes of ql
// starting at 32 * (g % 2), low nibbles for g < 2; its upper bits are bits 2g of qh.
#ifndef PYLLM_CSRC_FORMATS_Q6_K_H_
#define PYLLM_CSRC_FORMATS_Q6_K_H_

#include <stdint.h>

#include "formats/superblock.h"

namespace pyllm {

struct BlockQ6_K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;  // half
};
static_assert(sizeof(BlockQ6_K) == 210);

static inline void dequantize(const BlockQ6_K& block, float* y) {
  const float d = half_to_float(block.d);
  for (int b = 0; b < 16; ++b) {
    const int half = b / 8, group = b / 2 % 4, start = b % 2 * 16;
    const float scale = d * static_cast<float>(block.scales[b]);
    const uint8_t* ql = block.ql + half * 64 + group % 2 * 32 + start;
    const uint8_t* qh = block.qh + half * 32 + start;
    const int low_shift = group / 2 * 4, high_shift = group * 2;
    for (int l = 0; l < 16; ++l) {
      const int low = (ql[l] >> low_shift) & 15, high = (qh[l] >> high_shift) & 3;
      y[16 * b + l] = scale * static_cast<float>((low | high << 4) - 32);
    }
  }
}

static inline void quantize(const float* x, BlockQ6_K* block) {
  const IntegerLevels levels = {-32.0f, 31.0f};
  const SuperScales fit = fit_super_scales(x, 16, levels, -128, 127);
  *block = {};
  block->d = fit.d;
  for (int b = 0; b < 16; ++b) {
    const int half = b / 8, group = b / 2 % 4, start = b % 2 * 16;
    const float scale = half_to_float(fit.d) * static_cast<float>(fit.scale[b]);
    block->scales[b] = static_cast<int8_t>(fit.scale[b]);
    float q[16];
    to_levels(x + 16 * b, 16, inverse_or_zero(scale), levels, q);
    uint8_t* ql = block->ql + half * 64 + group % 2 * 32 + start;
    uint8_t* qh = block->qh + half * 32 + start;
    for (int l = 0; l < 16; ++l) {
      const int bits = static_cast<int>(q[l]) + 32;
      ql[l] = static_cast<uint8_t>(ql[l] | (bits & 15) << group / 2 * 4);
      qh[l] = static_cast<uint8_t>(qh[l] | bits >> 4 << group * 2);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q6_K_H_
