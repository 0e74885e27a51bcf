// IQ1_S: 256 ternary values in rows of 8; a row is an 11-bit codebook number (8 bits in qs, 3 in
// qh), and 32 values share a 3-bit scale and the sign of an offset: d * (1 + 2 * scale) * (t ±
// 1/8).
#ifndef PYLLM_CSRC_FORMATS_IQ1_S_H_
#define PYLLM_CSRC_FORMATS_IQ1_S_H_

#include <stdint.h>

#include "formats/codebook.h"
#include "formats/decoded_block.h"
#include "formats/half.h"

namespace pyllm {

struct BlockIQ1_S {
  uint16_t d;  // half
  uint8_t qs[32];
  uint16_t qh[8];  // 4 x 3 bits of row numbers, scale at bit 12, bit 15: the offset is negative
};
static_assert(sizeof(BlockIQ1_S) == 50);

// Eighths of a row and its offset: 8 * t + 1, or 8 * t - 1 where the offset is negative.
static inline void eighths(const int8_t* row, int negative, int8_t* q) {
  constexpr uint64_t kOffsets[2] = {0x0101010101010101u, ~uint64_t{0}};  // no branch
  const Eight value =
      eight_of(row_of_8(row) << 3 & 0xf8f8f8f8f8f8f8f8u) + eight_of(kOffsets[negative]);
  memcpy(q, &value, sizeof value);
}

static inline void decode(const BlockIQ1_S& block, DecodedBlock* out) {
  out->d = half_to_float(block.d) * 0.125f;
  for (int group = 0; group < 8; ++group) {
    const int qh = block.qh[group];
    out->scale[2 * group] = out->scale[2 * group + 1] = odd_scale(qh >> 12 & 7);
    for (int k = 0; k < 4; ++k) {
      const int8_t* row = codebook_iq1[block.qs[4 * group + k] | ((qh >> k * 3) & 7) << 8];
      eighths(row, qh >> 15, out->q + 32 * group + 8 * k);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ1_S_H_
