// Q1_0: 128 values of one bit: d where the bit is set, else -d. Bit i % 8 of byte i / 8.
#ifndef PYLLM_CSRC_FORMATS_Q1_0_H_
#define PYLLM_CSRC_FORMATS_Q1_0_H_

#include <stdint.h>

#include "formats/half.h"

namespace pyllm {

struct BlockQ1_0 {
  uint16_t d;  // half
  uint8_t bits[16];
};
static_assert(sizeof(BlockQ1_0) == 18);

static inline void dequantize(const BlockQ1_0& block, float* y) {
  const float d = half_to_float(block.d);
  for (int byte = 0; byte < 16; ++byte) {
    for (int k = 0; k < 8; ++k) y[8 * byte + k] = block.bits[byte] & (1 << k) ? d : -d;
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q1_0_H_
