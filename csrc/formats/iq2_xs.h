// IQ2_XS: 256 values in rows of 8; a row is a 9-bit codebook number and 7 sign bits, and two rows
// share a 4-bit scale: d * (0.5 + scale) / 4 * magnitude * sign.
#ifndef PYLLM_CSRC_FORMATS_IQ2_XS_H_
#define PYLLM_CSRC_FORMATS_IQ2_XS_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/decoded_block.h"
#include "formats/half.h"

namespace pyllm {

struct BlockIQ2_XS {
  uint16_t d;  // half
  uint16_t qs[32];
  uint8_t scales[8];
};
static_assert(sizeof(BlockIQ2_XS) == 74);

static inline void decode(const BlockIQ2_XS& block, DecodedBlock* out) {
  out->d = half_to_float(block.d) * 0.125f;
  for (int group = 0; group < 8; ++group) {
    const int scales = block.scales[group];
    out->scale[2 * group] = odd_scale(scales & 15);
    out->scale[2 * group + 1] = odd_scale(scales >> 4);
    for (int k = 0; k < 4; ++k) {
      const int word = block.qs[4 * group + k];
      const int8_t* row = codebook_iq2_xs[word & 511];
      signed_eight(row_of_8(row), kSignMasks.seven[word >> 9], out->q + 32 * group + 8 * k);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ2_XS_H_
