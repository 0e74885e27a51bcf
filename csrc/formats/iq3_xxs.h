// IQ3_XXS: 256 values in groups of 32; a group is eight codebook rows of 4 magnitudes, four 7-bit
// sign words and a 4-bit scale: d * (0.5 + scale) / 2 * magnitude * sign.
#ifndef PYLLM_CSRC_FORMATS_IQ3_XXS_H_
#define PYLLM_CSRC_FORMATS_IQ3_XXS_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/half.h"

namespace pyllm {

struct BlockIQ3_XXS {
  uint16_t d;         // half
  uint8_t qs[64];     // row numbers
  uint8_t words[32];  // per group a u32: 4 x 7 sign bits and the scale
};
static_assert(sizeof(BlockIQ3_XXS) == 98);

static inline void dequantize(const BlockIQ3_XXS& block, float* y) {
  const float d = half_to_float(block.d);
  for (int group = 0; group < 8; ++group) {
    uint32_t word = 0;
    for (int k = 0; k < 4; ++k) word |= static_cast<uint32_t>(block.words[4 * group + k]) << 8 * k;
    const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
    for (int k = 0; k < 4; ++k) {
      const uint32_t signs = signs_from_7((word >> 7 * k) & 127);
      for (int part = 0; part < 2; ++part) {
        const int8_t* row = codebook_iq3_xxs[block.qs[8 * group + 2 * k + part]];
        signed_four(row, scale, signs >> 4 * part, y + 32 * group + 8 * k + 4 * part);
      }
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ3_XXS_H_
