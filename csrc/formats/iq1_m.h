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

static inline void decode(const BlockIQ1_M& block, DecodedBlock* out) {
  int words[4], d_bits = 0;
  for (int k = 0; k < 4; ++k) {
    words[k] = block.scales[2 * k] | block.scales[2 * k + 1] << 8;
    d_bits |= words[k] >> 12 << 4 * k;
  }
  out->d = half_to_float(static_cast<uint16_t>(d_bits)) * 0.125f;
  for (int group = 0; group < 8; ++group) {
    const int scales = words[group / 2] >> group % 2 * 6;
    out->scale[2 * group] = odd_scale(scales & 7);
    out->scale[2 * group + 1] = odd_scale(scales >> 3 & 7);
    for (int k = 0; k < 4; ++k) {
      const int nibble = (block.qh[2 * group + k / 2] >> k % 2 * 4) & 15;
      const int8_t* row = codebook_iq1[block.qs[4 * group + k] | (nibble & 7) << 8];
      eighths(row, nibble >> 3, out->q + 32 * group + 8 * k);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ1_M_H_
