// IQ1_M: IQ1_S's rows with a 3-bit scale per 16 values and an offset sign per row. The half d has
// no field of its own: its nibbles are the top nibbles of the four 16-bit scale words.
#ifndef PYLLM_CSRC_FORMATS_IQ1_M_H_
#define PYLLM_CSRC_FORMATS_IQ1_M_H_

#include <stdint.h>

#include "formats/iq1_s.h"

namespace pyllm {

struct BlockIQ1_M {
  uint8_t qs[32];
  uint8_t qh[16];     // per row a nibble: 3 bits of its number, then the offset's sign
  uint8_t scales[8];  // four u16: 4 x 3 bits of scales and a nibble of d
};
static_assert(sizeof(BlockIQ1_M) == 56);

static inline void dequantize(const BlockIQ1_M& block, float* y) {
  int words[4], d_bits = 0;
  for (int k = 0; k < 4; ++k) {
    words[k] = block.scales[2 * k] | block.scales[2 * k + 1] << 8;
    d_bits |= words[k] >> 12 << 4 * k;
  }
  const float d = half_to_float(static_cast<uint16_t>(d_bits));
  for (int k = 0; k < 32; ++k) {
    const int nibble = (block.qh[k / 2] >> k % 2 * 4) & 15;
    const int stored = (words[k / 8] >> k / 2 % 4 * 3) & 7;
    const float scale = d * static_cast<float>(2 * stored + 1);
    const float offset = nibble & 8 ? -kIq1Offset : kIq1Offset;
    const int8_t* row = codebook_iq1[block.qs[k] | (nibble & 7) << 8];
    for (int j = 0; j < 8; ++j) y[8 * k + j] = scale * (static_cast<float>(row[j]) + offset);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ1_M_H_
