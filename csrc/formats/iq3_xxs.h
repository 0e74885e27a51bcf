// IQ3_XXS: 256 values in groups of 32; a group is eight codebook rows of 4 magnitudes, four 7-bit
// sign words and a 4-bit scale: d * (0.5 + scale) / 2 * magnitude * sign.
#ifndef PYLLM_CSRC_FORMATS_IQ3_XXS_H_
#define PYLLM_CSRC_FORMATS_IQ3_XXS_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/decoded_block.h"
#include "formats/half.h"

namespace pyllm {

struct BlockIQ3_XXS {
  uint16_t d;         // half
  uint8_t qs[64];     // row numbers
  uint8_t words[32];  // per group a u32: 4 x 7 sign bits and the scale
};
static_assert(sizeof(BlockIQ3_XXS) == 98);

static inline void decode(const BlockIQ3_XXS& block, DecodedBlock* out) {
  out->d = half_to_float(block.d) * 0.25f;
  for (int group = 0; group < 8; ++group) {
    uint32_t word;
    memcpy(&word, block.words + 4 * group, sizeof word);
    out->scale[2 * group] = out->scale[2 * group + 1] = odd_scale(word >> 28);
    for (int k = 0; k < 4; ++k) {
      const uint8_t* rows = block.qs + 8 * group + 2 * k;
      const uint64_t both = rows_of_4(codebook_iq3_xxs[rows[0]], codebook_iq3_xxs[rows[1]]);
      signed_eight(both, kSignMasks.seven[word >> 7 * k & 127], out->q + 32 * group + 8 * k);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ3_XXS_H_
