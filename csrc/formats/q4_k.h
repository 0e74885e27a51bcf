// Q4_K: 256 values of 4 bits; each sub-block of 32 has a 6-bit scale and minimum:
// d * scale * q - dmin * min. 32 bytes hold 64 values: low nibbles the first 32, high the next.
#ifndef PYLLM_CSRC_FORMATS_Q4_K_H_
#define PYLLM_CSRC_FORMATS_Q4_K_H_

#include <stdint.h>

#include "formats/scales6.h"
#include "formats/superblock.h"

namespace pyllm {

struct BlockQ4_K {
  uint16_t d, dmin;  // halves
  uint8_t scales[12];
  uint8_t qs[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

static inline void dequantize(const BlockQ4_K& block, float* y) {
  const float d = half_to_float(block.d), dmin = half_to_float(block.dmin);
  for (int b = 0; b < 8; ++b) {
    const float scale = d * static_cast<float>(scale6(block.scales, b));
    const float min = dmin * static_cast<float>(min6(block.scales, b));
    const uint8_t* qs = block.qs + b / 2 * 32;
    const int shift = b % 2 * 4;
    for (int l = 0; l < 32; ++l) {
      y[32 * b + l] = scale * static_cast<float>((qs[l] >> shift) & 15) - min;
    }
  }
}

static inline void quantize(const float* x, BlockQ4_K* block) {
  const SuperAffine fit = fit_super_affine(x, 32, 15.0f, 63);
  *block = {};
  block->d = fit.d;
  block->dmin = fit.dmin;
  pack_scales6(fit.scale, fit.min, block->scales);
  for (int b = 0; b < 8; ++b) {
    float q[32];
    to_affine(x + 32 * b, 32, sub_block(fit, b), 15.0f, q);
    uint8_t* qs = block->qs + b / 2 * 32;
    for (int l = 0; l < 32; ++l) {
      qs[l] = static_cast<uint8_t>(qs[l] | static_cast<int>(q[l]) << b % 2 * 4);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q4_K_H_
