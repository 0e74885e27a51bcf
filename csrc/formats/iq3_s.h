// IQ3_S: 256 values in rows of 4; a row is a 9-bit codebook number (8 bits in qs, 1 in qh), each
// value has a sign bit, and 32 values share a 4-bit scale: d * (1 + 2 * scale) * magnitude * sign.
#ifndef PYLLM_CSRC_FORMATS_IQ3_S_H_
#define PYLLM_CSRC_FORMATS_IQ3_S_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/decoded_block.h"
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

static inline void decode(const BlockIQ3_S& block, DecodedBlock* out) {
  out->d = half_to_float(block.d);
  for (int group = 0; group < 8; ++group) {
    const int stored = (block.scales[group / 2] >> group % 2 * 4) & 15, qh = block.qh[group];
    out->scale[2 * group] = out->scale[2 * group + 1] = odd_scale(stored);
    for (int k = 0; k < 4; ++k) {
      const uint8_t* rows = block.qs + 8 * group + 2 * k;
      const int low = rows[0] | (qh << (8 - 2 * k) & 256),
                high = rows[1] | (qh << (7 - 2 * k) & 256);
      signed_eight(rows_of_4(codebook_iq3_s[low], codebook_iq3_s[high]),
                   kSignMasks.eight[block.signs[4 * group + k]], out->q + 32 * group + 8 * k);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ3_S_H_
