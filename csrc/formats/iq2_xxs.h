// IQ2_XXS: 256 values in groups of 32; a group is four codebook rows of 8 magnitudes, four 7-bit
// sign words and a 4-bit scale: d * (0.5 + scale) / 4 * magnitude * sign.
#ifndef PYLLM_CSRC_FORMATS_IQ2_XXS_H_
#define PYLLM_CSRC_FORMATS_IQ2_XXS_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/decoded_block.h"
#include "formats/half.h"

namespace pyllm {

struct BlockIQ2_XXS {
  uint16_t d;  // half
  uint16_t
      qs[32];  // per group 8 bytes: four row numbers, then a u32 of 4 x 7 sign bits and the scale
};
static_assert(sizeof(BlockIQ2_XXS) == 66);

static inline void decode(const BlockIQ2_XXS& block, DecodedBlock* out) {
  out->d = half_to_float(block.d) * 0.125f;
  for (int group = 0; group < 8; ++group) {
    const uint16_t* qs = block.qs + 4 * group;
    const uint32_t rest = qs[2] | static_cast<uint32_t>(qs[3]) << 16;
    out->scale[2 * group] = out->scale[2 * group + 1] = odd_scale(rest >> 28);
    for (int k = 0; k < 4; ++k) {
      const int8_t* row = codebook_iq2_xxs[(qs[k / 2] >> k % 2 * 8) & 255];
      signed_eight(row_of_8(row), kSignMasks.seven[rest >> 7 * k & 127],
                   out->q + 32 * group + 8 * k);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ2_XXS_H_
