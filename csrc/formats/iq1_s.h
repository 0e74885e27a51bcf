// IQ1_S: 256 ternary values in rows of 8; a row is an 11-bit codebook number (8 bits in qs, 3 in
// qh), and 32 values share a 3-bit scale and the sign of an offset: d * (1 + 2 * scale) * (t ±
// 1/8).
#ifndef PYLLM_CSRC_FORMATS_IQ1_S_H_
#define PYLLM_CSRC_FORMATS_IQ1_S_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/half.h"

namespace pyllm {

constexpr float kIq1Offset = 0.125f;

struct BlockIQ1_S {
  uint16_t d;  // half
  uint8_t qs[32];
  uint16_t qh[8];  // 4 x 3 bits of row numbers, scale at bit 12, bit 15: the offset is negative
};
static_assert(sizeof(BlockIQ1_S) == 50);

static inline void dequantize(const BlockIQ1_S& block, float* y) {
  const float d = half_to_float(block.d);
  for (int k = 0; k < 32; ++k) {
    const int qh = block.qh[k / 4];
    const float scale = d * static_cast<float>(2 * ((qh >> 12) & 7) + 1);
    const float offset = qh & 0x8000 ? -kIq1Offset : kIq1Offset;
    const int8_t* row = codebook_iq1[block.qs[k] | ((qh >> k % 4 * 3) & 7) << 8];
    for (int j = 0; j < 8; ++j) y[8 * k + j] = scale * (static_cast<float>(row[j]) + offset);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ1_S_H_
