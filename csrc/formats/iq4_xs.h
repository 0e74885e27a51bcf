// IQ4_XS: 256 values on IQ4_NL's levels; each sub-block of 32 has a signed 6-bit scale:
// d * scale * level. 16 bytes hold one sub-block: low nibbles values 0-15, high 16-31.
#ifndef PYLLM_CSRC_FORMATS_IQ4_XS_H_
#define PYLLM_CSRC_FORMATS_IQ4_XS_H_

#include <stdint.h>

#include "formats/iq4_nl.h"
#include "formats/superblock.h"

namespace pyllm {

struct BlockIQ4_XS {
  uint16_t d;           // half
  uint16_t scales_h;    // upper 2 bits of scale b at bit 2b
  uint8_t scales_l[4];  // lower 4 bits of scale b: nibble b
  uint8_t qs[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

static inline void dequantize(const BlockIQ4_XS& block, float* y) {
  const float d = half_to_float(block.d);
  for (int b = 0; b < 8; ++b) {
    const int low = (block.scales_l[b / 2] >> b % 2 * 4) & 15;
    const int high = (block.scales_h >> 2 * b) & 3;
    const float scale = d * static_cast<float>((low | high << 4) - 32);
    for (int l = 0; l < 16; ++l) {
      const uint8_t pair = block.qs[16 * b + l];
      y[32 * b + l] = scale * static_cast<float>(kIq4Levels[pair & 15]);
      y[32 * b + l + 16] = scale * static_cast<float>(kIq4Levels[pair >> 4]);
    }
  }
}

static inline void quantize(const float* x, BlockIQ4_XS* block) {
  const SuperScales fit = fit_super_scales(x, 32, Iq4Levels{}, -32, 31);
  *block = {};
  block->d = fit.d;
  for (int b = 0; b < 8; ++b) {
    const int stored = fit.scale[b] + 32;
    block->scales_l[b / 2] =
        static_cast<uint8_t>(block->scales_l[b / 2] | (stored & 15) << b % 2 * 4);
    block->scales_h = static_cast<uint16_t>(block->scales_h | stored >> 4 << 2 * b);
    const float scale = half_to_float(fit.d) * static_cast<float>(fit.scale[b]);
    const float inverse = inverse_or_zero(scale);
    for (int l = 0; l < 16; ++l) {
      const float low = x[32 * b + l] * inverse, high = x[32 * b + l + 16] * inverse;
      block->qs[16 * b + l] = static_cast<uint8_t>(iq4_index(low) | iq4_index(high) << 4);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ4_XS_H_
