// Value tables of the IQ1, IQ2 and IQ3 types. They are data of the file format's reference
// package, not ours: zero until pyllm_set_codebook hands them over, so indexing them is always
// safe.
#ifndef PYLLM_CSRC_FORMATS_CODEBOOK_H_
#define PYLLM_CSRC_FORMATS_CODEBOOK_H_

#include <stdint.h>

namespace pyllm {

extern int8_t codebook_iq1[2048][8];  // IQ1_S and IQ1_M: -1, 0, 1
extern int8_t codebook_iq2_xxs[256][8];
extern int8_t codebook_iq2_xs[512][8];
extern int8_t codebook_iq2_s[1024][8];
extern int8_t codebook_iq3_xxs[256][4];
extern int8_t codebook_iq3_s[512][4];

// +1 or -1 from bit k.
static inline float sign_of(uint32_t bits, int k) { return (bits >> k) & 1u ? -1.0f : 1.0f; }

// Seven stored sign bits; the eighth makes the number of minus signs even.
static inline uint32_t signs_from_7(uint32_t bits) {
  uint32_t parity = bits ^ (bits >> 4);
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return bits | (parity & 1u) << 7;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_CODEBOOK_H_
