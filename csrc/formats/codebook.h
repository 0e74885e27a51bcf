// Value tables of the IQ1, IQ2 and IQ3 types. They are data of the file format's reference
// package, not ours: zero until pyllm_set_codebook hands them over, so indexing them is always
// safe.
#ifndef PYLLM_CSRC_FORMATS_CODEBOOK_H_
#define PYLLM_CSRC_FORMATS_CODEBOOK_H_

#include <stdint.h>
#include <string.h>

#include "formats/lanes.h"

namespace pyllm {

extern int8_t codebook_iq1[2048][8];  // IQ1_S and IQ1_M: -1, 0, 1
extern int8_t codebook_iq2_xxs[256][8];
extern int8_t codebook_iq2_xs[512][8];
extern int8_t codebook_iq2_s[1024][8];
extern int8_t codebook_iq3_xxs[256][4];
extern int8_t codebook_iq3_s[512][4];

// Four values scale * row[j], negated where bit j of signs is set.
static inline void signed_four(const int8_t* row, float scale, uint32_t signs, float* y) {
  using Bits = uint32_t __attribute__((vector_size(16)));
  const Lanes magnitudes = {static_cast<float>(row[0]), static_cast<float>(row[1]),
                            static_cast<float>(row[2]), static_cast<float>(row[3])};
  constexpr Bits kBit = {1, 2, 4, 8}, kSign = {1u << 31, 1u << 31, 1u << 31, 1u << 31};
  const Bits negative = reinterpret_cast<Bits>((kBit & signs) != 0) & kSign;
  const Bits value = reinterpret_cast<Bits>(scale * magnitudes) ^ negative;
  memcpy(y, &value, sizeof value);
}

static inline void signed_eight(const int8_t* row, float scale, uint32_t signs, float* y) {
  signed_four(row, scale, signs, y);
  signed_four(row + 4, scale, signs >> 4, y + 4);
}

// Seven stored sign bits; the eighth makes the number of minus signs even.
static inline uint32_t signs_from_7(uint32_t bits) {
  uint32_t parity = bits ^ (bits >> 4);
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return bits | (parity & 1u) << 7;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_CODEBOOK_H_
