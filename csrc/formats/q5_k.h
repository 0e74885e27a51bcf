// Q5_K: Q4_K with a fifth bit: bit b of qh[l] belongs to value l of sub-block b.
#ifndef PYLLM_CSRC_FORMATS_Q5_K_H_
#define PYLLM_CSRC_FORMATS_Q5_K_H_

#include <stdint.h>

#include "formats/scales6.h"
#include "formats/superblock.h"

namespace pyllm {

struct BlockQ5_K {
  uint16_t d, dmin;  // halves
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

static inline void dequantize(const BlockQ5_K& block, float* y) {
  const float d = half_to_float(block.d), dmin = half_to_float(block.dmin);
  for (int b = 0; b < 8; ++b) {
    const float scale = d * static_cast<float>(scale6(block.scales, b));
    const float min = dmin * static_cast<float>(min6(block.scales, b));
    const uint8_t* qs = block.qs + b / 2 * 32;
    const int shift = b % 2 * 4;
    for (int l = 0; l < 32; ++l) {
      const int fifth = ((block.qh[l] >> b) & 1) << 4;
      y[32 * b + l] = scale * static_cast<float>(((qs[l] >> shift) & 15) | fifth) - min;
    }
  }
}

static inline void quantize(const float* x, BlockQ5_K* block) {
  const SuperAffine fit = fit_super_affine(x, 32, 31.0f, 63);
  *block = {};
  block->d = fit.d;
  block->dmin = fit.dmin;
  pack_scales6(fit.scale, fit.min, block->scales);
  for (int b = 0; b < 8; ++b) {
    float q[32];
    to_affine(x + 32 * b, 32, sub_block(fit, b), 31.0f, q);
    uint8_t* qs = block->qs + b / 2 * 32;
    for (int l = 0; l < 32; ++l) {
      const int bits = static_cast<int>(q[l]);
      qs[l] = static_cast<uint8_t>(qs[l] | (bits & 15) << b % 2 * 4);
      block->qh[l] = static_cast<uint8_t>(block->qh[l] | bits >> 4 << b);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q5_K_H_
