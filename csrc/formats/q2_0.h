// Q2_0: 64 values of two bits: d * (q - 1). Bits 2 * (i % 4) of byte i / 4.
#ifndef PYLLM_CSRC_FORMATS_Q2_0_H_
#define PYLLM_CSRC_FORMATS_Q2_0_H_

#include <stdint.h>

#include "formats/half.h"

namespace pyllm {

struct BlockQ2_0 {
  uint16_t d;  // half
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ2_0) == 18);

static inline void dequantize(const BlockQ2_0& block, float* y) {
  const float d = half_to_float(block.d);
  for (int i = 0; i < 64; ++i) {
    y[i] = d * static_cast<float>(((block.qs[i / 4] >> i % 4 * 2) & 3) - 1);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q2_0_H_
