// IQ2_S: 256 values in rows of 8; a row is a 10-bit codebook number (8 bits in qs, 2 in qh) and 8
// sign bits, and two rows share a 4-bit scale: d * (0.5 + scale) / 4 * magnitude * sign.
#ifndef PYLLM_CSRC_FORMATS_IQ2_S_H_
#define PYLLM_CSRC_FORMATS_IQ2_S_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/half.h"

namespace pyllm {

struct BlockIQ2_S {
  uint16_t d;  // half
  uint8_t qs[32];
  uint8_t signs[32];
  uint8_t qh[8];
  uint8_t scales[8];
};
static_assert(sizeof(BlockIQ2_S) == 82);

static inline void dequantize(const BlockIQ2_S& block, float* y) {
  const float d = half_to_float(block.d);
  for (int k = 0; k < 32; ++k) {
    const int stored = (block.scales[k / 4] >> k / 2 % 2 * 4) & 15;
    const float scale = d * (0.5f + static_cast<float>(stored)) * 0.25f;
    const int high = (block.qh[k / 4] >> k % 4 * 2) & 3;
    const int8_t* row = codebook_iq2_s[block.qs[k] | high << 8];
    signed_eight(row, scale, block.signs[k], y + 8 * k);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ2_S_H_
