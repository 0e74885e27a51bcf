// Value tables of the IQ1, IQ2 and IQ3 types. They are data of the file format's reference
// package, not ours: zero until pyllm_set_codebook hands them over, so indexing them is always
// safe.
#ifndef PYLLM_CSRC_FORMATS_CODEBOOK_H_
#define PYLLM_CSRC_FORMATS_CODEBOOK_H_

#include <stdint.h>
#include <string.h>

namespace pyllm {

extern int8_t codebook_iq1[2048][8];  // IQ1_S and IQ1_M: -1, 0, 1
extern int8_t codebook_iq2_xxs[256][8];
extern int8_t codebook_iq2_xs[512][8];
extern int8_t codebook_iq2_s[1024][8];
extern int8_t codebook_iq3_xxs[256][4];
extern int8_t codebook_iq3_s[512][4];

// A stored scale s means 2 s + 1 halves, quarters or eighths of d.
static inline float odd_scale(uint32_t stored) {
  return static_cast<float>(static_cast<int32_t>(2 * stored + 1));  // one instruction
}

// A row is read as one integer. Kernels multiply values of 7 bits, signs included: they lie in
// [-63, 63].
static inline uint64_t row_of_8(const int8_t* row) {
  uint64_t bytes;
  memcpy(&bytes, row, sizeof bytes);
  return bytes;
}
static inline uint64_t rows_of_4(const int8_t* low, const int8_t* high) {
  uint32_t rows[2];
  memcpy(&rows[0], low, sizeof rows[0]);
  memcpy(&rows[1], high, sizeof rows[1]);
  return rows[0] | static_cast<uint64_t>(rows[1]) << 32;
}

using Eight = int8_t __attribute__((vector_size(8)));

static inline Eight eight_of(uint64_t bytes) {
  Eight v;
  memcpy(&v, &bytes, sizeof v);
  return v;
}

// Sign bits spread to bytes: byte j is 0xff where bit j is set. 3 KB of tables, half the
// instructions of spreading them anew.
struct SignMasks {
  uint64_t eight[256] = {};
  uint64_t seven[128] = {};  // the eighth bit makes the number of minus signs even
  constexpr SignMasks() {
    for (unsigned bits = 0; bits < 256; ++bits) {
      for (int j = 0; j < 8; ++j) eight[bits] |= (bits >> j & 1) * (uint64_t{0xff} << 8 * j);
    }
    for (unsigned bits = 0; bits < 128; ++bits) {
      seven[bits] = eight[bits | static_cast<unsigned>(__builtin_parity(bits)) << 7];
    }
  }
};
constexpr SignMasks kSignMasks;

// The eight values of a row, negated where the mask is set.
static inline void signed_eight(uint64_t row, uint64_t mask, int8_t* q) {
  const Eight negative = eight_of(mask);
  const Eight value = (eight_of(row) ^ negative) - negative;  // two's complement: ~v + 1
  memcpy(q, &value, sizeof value);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_CODEBOOK_H_
