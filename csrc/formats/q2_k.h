// Q2_K: 256 values of 2 bits; each sub-block of 16 has a 4-bit scale (low nibble) and minimum (high
// nibble): d * scale * q - dmin * min. 32 bytes hold 128 values: bits 2k of byte l are value 32k +
// l.
#ifndef PYLLM_CSRC_FORMATS_Q2_K_H_
#define PYLLM_CSRC_FORMATS_Q2_K_H_

#include <stdint.h>

#include "formats/superblock.h"

namespace pyllm {

struct BlockQ2_K {
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d, dmin;  // halves
};
static_assert(sizeof(BlockQ2_K) == 84);

static inline void dequantize(const BlockQ2_K& block, float* y) {
  const float d = half_to_float(block.d), dmin = half_to_float(block.dmin);
  for (int b = 0; b < 16; ++b) {
    const float scale = d * static_cast<float>(block.scales[b] & 15);
    const float min = dmin * static_cast<float>(block.scales[b] >> 4);
    const uint8_t* qs = block.qs + b / 8 * 32 + b % 2 * 16;
    const int shift = b / 2 % 4 * 2;
    for (int l = 0; l < 16; ++l) {
      y[16 * b + l] = scale * static_cast<float>((qs[l] >> shift) & 3) - min;
    }
  }
}

static inline void quantize(const float* x, BlockQ2_K* block) {
  const SuperAffine fit = fit_super_affine(x, 16, 3.0f, 15);
  *block = {};
  block->d = fit.d;
  block->dmin = fit.dmin;
  for (int b = 0; b < 16; ++b) {
    block->scales[b] = static_cast<uint8_t>(fit.scale[b] | fit.min[b] << 4);
    float q[16];
    to_affine(x + 16 * b, 16, sub_block(fit, b), 3.0f, q);
    uint8_t* qs = block->qs + b / 8 * 32 + b % 2 * 16;
    const int shift = b / 2 % 4 * 2;
    for (int l = 0; l < 16; ++l) {
      qs[l] = static_cast<uint8_t>(qs[l] | static_cast<int>(q[l]) << shift);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q2_K_H_
