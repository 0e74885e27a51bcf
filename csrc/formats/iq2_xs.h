// IQ2_XS: 256 values in rows of 8; a row is a 9-bit codebook number and 7 sign bits, and two rows
// share a 4-bit scale: d * (0.5 + scale) / 4 * magnitude * sign.
#ifndef PYLLM_CSRC_FORMATS_IQ2_XS_H_
#define PYLLM_CSRC_FORMATS_IQ2_XS_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/half.h"

namespace pyllm {

struct BlockIQ2_XS {
  uint16_t d;  // half
  uint16_t qs[32];
  uint8_t scales[8];
};
static_assert(sizeof(BlockIQ2_XS) == 74);

static inline void dequantize(const BlockIQ2_XS& block, float* y) {
  const float d = half_to_float(block.d);
  for (int k = 0; k < 32; ++k) {
    const int stored = (block.scales[k / 4] >> k / 2 % 2 * 4) & 15;
    const float scale = d * (0.5f + static_cast<float>(stored)) * 0.25f;
    const int8_t* row = codebook_iq2_xs[block.qs[k] & 511];
    const uint32_t signs = signs_from_7(block.qs[k] >> 9);
    signed_eight(row, scale, signs, y + 8 * k);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ2_XS_H_
