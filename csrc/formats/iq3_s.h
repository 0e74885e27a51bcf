// IQ3_S: 256 values in rows of 4; a row is a 9-bit codebook number (8 bits in qs, 1 in qh), each
// value has a sign bit, and 32 values share a 4-bit scale: d * (1 + 2 * scale) * magnitude * sign.
#ifndef PYLLM_CSRC_FORMATS_IQ3_S_H_
#define PYLLM_CSRC_FORMATS_IQ3_S_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/half.h"

namespace pyllm {

struct BlockIQ3_S {
  uint16_t d;  // half
  uint8_t qs[64];
  uint8_t qh[8];
  uint8_t signs[32];
  uint8_t scales[4];
};
static_assert(sizeof(BlockIQ3_S) == 110);

static inline void dequantize(const BlockIQ3_S& block, float* y) {
  const float d = half_to_float(block.d);
  for (int k = 0; k < 64; ++k) {
    const int stored = (block.scales[k / 16] >> k / 8 % 2 * 4) & 15;
    const float scale = d * static_cast<float>(1 + 2 * stored);
    const int high = (block.qh[k / 8] >> k % 8) & 1;
    const int8_t* row = codebook_iq3_s[block.qs[k] | high << 8];
    const uint32_t signs = block.signs[k / 2] >> k % 2 * 4;
    signed_four(row, scale, signs, y + 4 * k);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ3_S_H_
